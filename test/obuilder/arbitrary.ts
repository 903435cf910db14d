/* Generators for property tests: byte strings, S-expressions, specs. */

import fc from "fast-check";
import type { Sexp } from "../../src/obuilder/sexp/sexp.js";
import type { Cache, Op, Spec, User } from "../../src/obuilder/spec/spec.js";
import { fromBytes } from "../../src/text/bytes.js";

/** Byte strings in which what readers and writers treat specially is frequent. */
export const byteString: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom("", "a", " ", "\n", "\r", "\t", '"', "'", "\\", "(", ")", ";", "#", "|"),
      fc.constantFrom("#|", "|#", "#;", "\\n", "\\065", "\\x41", "\0", "\x7f", "é", "日", "😀"),
      fc.stringMatching(/^[a-z/.-]{1,20}$/),
      fc.uint8Array({ maxLength: 4 }).map(fromBytes),
    ),
    { maxLength: 8 },
  )
  // Joined as bytes: two halves of a character next to each other are the character.
  .map((parts) => fromBytes(Buffer.concat(parts.map((part) => bytesOfPart(part)))));

function bytesOfPart(part: string): Buffer {
  const bytes = [...part].flatMap((char) => {
    const code = char.codePointAt(0)!;
    return code >= 0xdc80 && code <= 0xdcff ? [code - 0xdc00] : [...Buffer.from(char)];
  });
  return Buffer.from(bytes);
}

export const sexp: fc.Arbitrary<Sexp> = fc.letrec<{ sexp: Sexp }>((tie) => ({
  sexp: fc.oneof(
    { depthSize: "small" },
    byteString.map((atom) => ({ atom })),
    fc.array(tie("sexp"), { maxLength: 5 }).map((items) => ({ items })),
  ),
})).sexp;

const mount: fc.Arbitrary<Cache> = fc.record({
  id: byteString,
  target: byteString,
  buildkitOptions: fc.array(fc.tuple(byteString, byteString), { maxLength: 2 }),
});

const number = fc.bigInt({ min: -(1n << 62n), max: (1n << 62n) - 1n });

const user: fc.Arbitrary<User> = fc.oneof(
  fc.record({ uid: number, gid: number }),
  fc.record({ name: byteString }),
);

const words = fc.array(byteString, { maxLength: 3 });

const builds = ["one", "two", "three"];

const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ op: fc.constant("comment" as const), text: byteString }),
  fc.record({ op: fc.constant("workdir" as const), path: byteString }),
  fc.record({ op: fc.constant("shell" as const), words }),
  fc.record({
    op: fc.constant("run" as const),
    cache: fc.array(mount, { maxLength: 2 }),
    network: words,
    secrets: fc.array(mount, { maxLength: 2 }),
    shell: byteString,
  }),
  fc.record({
    op: fc.constant("copy" as const),
    from: fc.oneof(
      fc.constant({ from: "context" as const }),
      fc.record({ from: fc.constant("build" as const), name: fc.constantFrom(...builds) }),
    ),
    src: words,
    dst: byteString,
    exclude: words,
  }),
  fc.record({ op: fc.constant("user" as const), user }),
  fc.record({ op: fc.constant("env" as const), key: byteString, value: byteString }),
);

const leaf: fc.Arbitrary<Spec> = fc.record({
  children: fc.constant([]),
  from: byteString,
  ops: fc.array(op, { maxLength: 4 }).map((ops) => ops.filter(copiesFromNoBuild)),
});

function copiesFromNoBuild(op: Op): boolean {
  return op.op !== "copy" || op.from.from === "context";
}

/** Specs that pass the scope check: every build that is copied from comes first. */
export const spec: fc.Arbitrary<Spec> = fc.record({
  children: fc
    .tuple(leaf, leaf, leaf)
    .map((specs) => specs.map((child, i) => ({ name: builds[i]!, spec: child }))),
  from: byteString,
  ops: fc.array(op, { maxLength: 6 }),
});
