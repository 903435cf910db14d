/**
 * A line to a port of this machine that can go dead without being closed: what is sent over it then is neither delivered
 * nor refused, as to a frozen process, or a machine whose plug was pulled.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export class SlowLine {
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly server: Server) {}

  static async to(port: number): Promise<SlowLine> {
    const server = createServer();
    const line = new SlowLine(server);
    server.on("connection", (near) => {
      const far = connect({ port, host: "127.0.0.1" });
      line.join(near, far);
      line.join(far, near);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return line;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** From now on, nothing gets through on the connections there are. New ones work. */
  freeze(): void {
    for (const socket of this.sockets) socket.removeAllListeners("data").pause();
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private join(from: Socket, to: Socket): void {
    this.sockets.add(from);
    from.on("data", (chunk) => to.write(chunk));
    from.on("error", () => {});
    from.on("close", () => {
      this.sockets.delete(from);
      to.destroy();
    });
  }
}
