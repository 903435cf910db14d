/**
 * A copy of all that a scheduler keeps, for its administrator: what our schedulers' `Admin`s offer
 * beyond the shared contract. Others answer "unimplemented".
 */
import { type Capability, type MethodEntry, method, serve } from "../rpc/index.js";
import { type CallOptions, resultOf } from "./calls.js";
import { Backup$Client, Backups$Client } from "./generated/extensions.js";

const [BEGIN] = Backups$Client.methods;
const [FILES, READ] = Backup$Client.methods;

/** What is copied besides the key, the capability files and the databases. */
export interface BackupContent {
  /** Logs of durable jobs. */
  readonly logs: boolean;
  /** Files of their results. */
  readonly outputs: boolean;
}

export interface BackupFile {
  /** As it is in a backup: parts with `/` between. It is not trusted: see `backup-list.ts`. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** In seconds since the Unix epoch. */
  readonly modified: number;
}

/** What the methods throw goes to the administrator. */
export interface BackupsService {
  /** Resolves when the copy is made. */
  beginBackup(content: BackupContent, signal: AbortSignal): Promise<BackupService>;
}

export interface BackupService {
  /** Those from number `first` on, some of them; none: there are no more. */
  files(first: number, limit: number): readonly BackupFile[];
  /** Bytes of a file by its number, `limit` at most; none at its end. */
  read(file: number, start: number, limit: number): Promise<Uint8Array>;
  /** Nobody wants it any more. */
  release(): void;
}

/** The methods of an `Admin` that make it a `Backups`, too. */
export function backupsMethods(service: BackupsService): MethodEntry[] {
  return [
    method(BEGIN, async (call) => {
      const { logs, outputs } = call.params;
      const backup = await service.beginBackup({ logs, outputs }, call.signal);
      call.results();
      call.setCapability(0, local(backup));
    }),
  ];
}

function local(backup: BackupService): Capability {
  const methods = [
    method(FILES, (call) => {
      const { first, limit } = call.params;
      const files = backup.files(first, limit);
      const list = call.results()._initFiles(files.length);
      for (const [index, { modified, name, size }] of files.entries()) {
        Object.assign(list.get(index), { name, size: BigInt(size), modified });
      }
    }),
    method(READ, async (call) => {
      const { file, limit, start } = call.params;
      const data = await backup.read(file, Number(start), limit);
      call.results()._initData(data.byteLength).copyBuffer(data);
    }),
  ];
  return serve("Backup", methods, { release: () => backup.release() });
}

/** Has a copy made, and resolves with its `Backup`, owned by the caller. */
export async function begin(
  admin: Capability,
  content: BackupContent,
  options?: CallOptions,
): Promise<Capability> {
  const call = admin.call(BEGIN, (params) => Object.assign(params, content), options);
  try {
    return (await call.response).capability(0);
  } finally {
    call.cancel();
  }
}

/** See `BackupService.files`. */
export function files(
  backup: Capability,
  first: number,
  limit: number,
  options?: CallOptions,
): Promise<BackupFile[]> {
  const call = backup.call(FILES, (params) => Object.assign(params, { first, limit }), options);
  return resultOf(call, (results) =>
    results.files.map(({ modified, name, size }) => ({ name, size: Number(size), modified })),
  );
}

/** See `BackupService.read`. */
export function read(
  backup: Capability,
  file: number,
  start: number,
  limit: number,
  options?: CallOptions,
): Promise<Uint8Array> {
  const call = backup.call(
    READ,
    (params) => Object.assign(params, { file, start: BigInt(start), limit }),
    options,
  );
  return resultOf(call, ({ data }) => data.toUint8Array().slice());
}
