/**
 * Capabilities weaker than an administrator's, for programs that help to run a cluster: what our
 * schedulers' `Admin`s offer beyond the shared contract. Others answer "unimplemented".
 */
import { type Capability, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, done, resultOf, writeTexts } from "./calls.js";
import { Grants$Client } from "./generated/extensions.js";

const [GRANT, REVOKE, LIST] = Grants$Client.methods;

/** What the methods throw goes to the administrator. */
export interface GrantsService {
  /** Makes one, and resolves with its URI when that is on disk. */
  grant(kind: string, name: string): Promise<string>;
  /** Ends one at once, for whoever has it. */
  revoke(kind: string, name: string): Promise<void>;
  /** The names of a kind, sorted. */
  granted(kind: string): readonly string[];
}

/** The methods of an `Admin` that make it a `Grants`, too. */
export function grantsMethods(service: GrantsService): MethodEntry[] {
  return [
    method(GRANT, async (call) => {
      const { kind, name } = call.params;
      const uri = await service.grant(kind, name);
      call.results().uri = uri;
    }),
    method(REVOKE, ({ params }) => service.revoke(params.kind, params.name)),
    method(LIST, (call) => {
      const names = service.granted(call.params.kind);
      writeTexts(call.results()._initNames(names.length), names);
    }),
  ];
}

/** See `GrantsService.grant`. The URI is the content of a capability file. */
export function grant(
  admin: Capability,
  kind: string,
  name: string,
  options?: CallOptions,
): Promise<string> {
  const call = admin.call(
    GRANT,
    (params) => {
      params.kind = kind;
      params.name = name;
    },
    options,
  );
  return resultOf(call, ({ uri }) => uri);
}

/** See `GrantsService.revoke`. */
export function revoke(
  admin: Capability,
  kind: string,
  name: string,
  options?: CallOptions,
): Promise<void> {
  const call = admin.call(
    REVOKE,
    (params) => {
      params.kind = kind;
      params.name = name;
    },
    options,
  );
  return done(call);
}

/** See `GrantsService.granted`. */
export function list(admin: Capability, kind: string, options?: CallOptions): Promise<string[]> {
  const call = admin.call(
    LIST,
    (params) => {
      params.kind = kind;
    },
    options,
  );
  return resultOf(call, ({ names }) => names.toArray());
}
