/**
 * A line to a port of this machine that can be disturbed as real ones are: it goes dead without
 * being closed, so that what is sent is neither delivered nor refused, as to a frozen process, or a
 * machine whose plug was pulled; it stalls for a while; it is cut; it is closed in one direction
 * only.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export class SlowLine {
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly server: Server) {}

  static async to(port: number): Promise<SlowLine> {
    const server = createServer({ allowHalfOpen: true });
    const line = new SlowLine(server);
    server.on("connection", (near) => {
      const far = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
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

  /** The ends of all connections, two for each. */
  get ends(): readonly Socket[] {
    return [...this.sockets];
  }

  /** From now on, nothing gets through on the connections there are. New ones work. */
  freeze(): void {
    for (const socket of this.sockets) socket.removeAllListeners("data").pause();
  }

  /**
   * Until the result is called, nothing gets through on the connections there are; then all of it
   * does.
   */
  stall(): () => void {
    const stalled = this.ends;
    for (const socket of stalled) socket.pause();
    return () => {
      for (const socket of stalled) socket.resume();
    };
  }

  /** Cuts the connections there are. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  close(): void {
    this.server.close();
    this.cut();
  }

  private join(from: Socket, to: Socket): void {
    this.sockets.add(from);
    from.on("data", (chunk) => to.write(chunk));
    from.on("end", () => to.end());
    from.on("error", () => {});
    from.on("close", () => {
      this.sockets.delete(from);
      to.destroy();
    });
  }
}
