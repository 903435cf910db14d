/** A certificate that is renewed while the page is served is in use from then on. */
import { execFileSync } from "node:child_process";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { expect, it } from "vitest";
import { House } from "./house.js";

const house = House.forEachTest();

/** A certificate for `name`, signed by itself, and its key. */
function certificate(dir: string, name: string): { readonly cert: string; readonly key: string } {
  const files = { cert: join(dir, `${name}-cert.pem`), key: join(dir, `${name}-key.pem`) };
  execFileSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-days", "30", "-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`],
    ...["-keyout", files.key, "-out", files.cert],
  ]);
  return files;
}

/** Asks over TLS as `host`: the certificate's name, and the status. */
function visit(
  port: number,
  host: string,
): Promise<{ readonly name: string; readonly status: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      const name = String(socket.getPeerCertificate().subject.CN);
      socket.write(`GET /healthz HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n\r\n`);
      let text = "";
      socket.setEncoding("utf8").on("data", (data) => {
        text += data;
      });
      socket.once("close", () => resolve({ name, status: text.split(" ")[1]! }));
    });
    socket.once("error", reject);
  });
}

it("is taken when both of its files are there, and not before", async () => {
  const opened = await house.open();
  const tls = certificate(opened.dir, "old.example");
  const renewed = certificate(opened.dir, "new.example");
  const web = await opened.web("admin", { tls, lookMs: 20 });
  const port = Number(new URL(web.url).port);
  expect(web.url).toMatch(/^https:/);
  expect(await visit(port, "old.example")).toEqual({ name: "old.example", status: "200" });
  expect((await visit(port, "new.example")).status).toBe("421");
  // Half of it, and something that is none: the old one stays.
  renameSync(renewed.cert, tls.cert);
  expect((await visit(port, "old.example")).name).toBe("old.example");
  const key = `${tls.key}.new`;
  writeFileSync(key, "no key\n");
  renameSync(key, tls.key);
  expect((await visit(port, "old.example")).name).toBe("old.example");
  renameSync(renewed.key, tls.key);
  await expect
    .poll(() => visit(port, "new.example"))
    .toEqual({
      name: "new.example",
      status: "200",
    });
  expect((await visit(port, "old.example")).status).toBe("421");
});

it("that cannot be used is said at once", async () => {
  const opened = await house.open();
  const { cert } = certificate(opened.dir, "one.example");
  const { key } = certificate(opened.dir, "two.example");
  await expect(opened.web("admin", { tls: { cert, key } })).rejects.toThrow(
    /Cannot use certificate ".*one\.example-cert\.pem" with key ".*": .*PEM files/,
  );
  await expect(opened.web("admin", { tls: { cert: "/none", key } })).rejects.toThrow(
    'Cannot read the certificate "/none"',
  );
});
