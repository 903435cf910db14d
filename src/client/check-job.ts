/**
 * What is known to be wrong with a spec or a Dockerfile before anybody is asked to build it. Specs
 * are read by the parser that workers have, so that what they take is taken here; of a Dockerfile
 * only what no builder would take is refused, and nothing of one that names a syntax of its own.
 * What a newer worker may know is submitted with `--unchecked`.
 */
import type { Action } from "../api/index.js";
import { parseDockerfile, readSpec, SexpError } from "../obuilder/language.js";
import { fromBytes, quoted, toBytes, visible } from "../text/index.js";
import { JobFailure } from "./failure.js";
import { kindOfText } from "./submit-file.js";

/** All that there are. */
const INSTRUCTIONS = new Set(
  (
    "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME " +
    "WORKDIR"
  ).split(" "),
);

/** A directive at the top that chooses another language. */
const OWN_SYNTAX = /^(\ufeff)?((#|\/\/).*\r?\n)*(#|\/\/)[ \t]*syntax[ \t]*=/i;

/** Columns of a line that are shown before and after what is wrong. */
const AROUND = 60;

/** Throws a `JobFailure` in words for the user. `file` is where the text is from. */
export function checkJob(action: Action, file: string): void {
  if (action.kind === "obuilder") checkSpec(action.spec, file);
  else if (action.kind === "docker" && "contents" in action.dockerfile) {
    // Another language may have been chosen without a word of it in the file.
    if (action.buildArgs.some((arg) => arg.startsWith("BUILDKIT_SYNTAX="))) return;
    checkDockerfile(action.dockerfile.contents, file);
  }
}

function checkSpec(spec: string, file: string): void {
  if (kindOfText(spec) === "dockerfile") {
    throw refused(
      `${quoted(file)} is a Dockerfile, and no spec. To build it as it is: ` +
        `\`ocluster-client submit-docker --local-dockerfile=${visible(file)}\`. ` +
        `To have a spec made of it: \`obuilder from-dockerfile ${visible(file)}\`.`,
    );
  }
  const bytes = toBytes(spec);
  try {
    readSpec(bytes, file);
  } catch (error) {
    if (!(error instanceof SexpError)) throw error;
    const { expected, message, position } = error;
    throw refused(
      [
        message,
        ...(position ? [`  at line ${position.line} of ${visible(file)}`] : []),
        ...(position ? pointer(bytes, position.line, position.column) : []),
        ...(expected === undefined ? [] : [`  expected: ${expected}`]),
        "No worker was asked. If newer workers know what this client does not: --unchecked.",
      ].join("\n"),
    );
  }
}

function checkDockerfile(text: string, file: string): void {
  if (kindOfText(text) === "spec") {
    throw refused(
      `${quoted(file)} is a spec, and no Dockerfile. To build it: ` +
        `\`ocluster-client submit-obuilder --local-file=${visible(file)}\`.`,
    );
  }
  if (OWN_SYNTAX.test(text)) return;
  let instructions: ReturnType<typeof parseDockerfile>["instructions"];
  try {
    ({ instructions } = parseDockerfile(text));
  } catch {
    return; // Somebody else may read it.
  }
  const [first] = instructions;
  const unknown = instructions.find(({ keyword }) => !INSTRUCTIONS.has(keyword));
  const at = unknown ?? first;
  const line = at?.line ?? 1;
  const complaint = unknown
    ? `Unknown instruction ${quoted(unknown.keyword)}`
    : first === undefined
      ? "There is no instruction in it"
      : first.keyword !== "FROM" && first.keyword !== "ARG"
        ? `It begins with ${first.keyword}: only ARG can be before the first FROM`
        : undefined;
  if (complaint === undefined) return;
  throw refused(
    [
      complaint,
      `  at line ${line} of ${visible(file)}`,
      ...(at ? pointer(toBytes(text), line, 1) : []),
      "No worker was asked. If newer workers know what this client does not: --unchecked.",
    ].join("\n"),
  );
}

/**
 * The line and a caret below what is wrong in it; of a long line, what is around that. `column` is
 * in bytes, from 1.
 */
function pointer(text: Uint8Array, line: number, column: number): string[] {
  const bytes = fromBytes(text).split("\n")[line - 1] ?? "";
  const before = fromBytes(toBytes(bytes).subarray(0, column - 1)).slice(-AROUND);
  const after = fromBytes(toBytes(bytes).subarray(column - 1))
    .slice(0, AROUND)
    .trimEnd();
  const head = `  ${line} | `;
  const shown = visible(before.replaceAll("\t", " "));
  return [
    `${head}${shown}${visible(after.replaceAll("\t", " "))}`,
    `${" ".repeat(head.length + [...shown].length)}^`,
  ];
}

function refused(text: string): JobFailure {
  return new JobFailure("failed", text);
}
