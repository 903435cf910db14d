/**
 * The commands in a Markdown document: its fenced blocks of language `sh`, each with what a comment right before it says
 * about how to test it:
 *
 *     <!-- test: runs on, prints /REGEX/ -->       goes on running; ready when it has printed that
 *     <!-- test: prints /REGEX/ -->                its output matches
 *     <!-- test: fails, prints /REGEX/ -->         it ends with another status than 0
 *     <!-- test: not run: REASON -->               its programs' options are checked, no more
 *
 * Without a comment, the block must succeed.
 */
export interface Block {
  /** Of the first command, from 1. */
  readonly line: number;
  readonly commands: string;
  readonly mode: "succeeds" | "fails" | "runs on" | "not run";
  readonly prints: RegExp | undefined;
}

const FENCE = /^(?:<!-- test: (.*) -->\n)?```sh\n((?:.*\n)*?)```$/gm;

export function commandsIn(markdown: string): Block[] {
  return [...markdown.matchAll(FENCE)].map(({ 0: all, 1: comment, 2: code, index }) => {
    const line = markdown.slice(0, index + all.indexOf("```sh\n")).split("\n").length + 1;
    const [, modeText, regex] = /^(.*?)(?:(?:, |^)prints \/(.*)\/)?$/.exec(comment ?? "")!;
    const mode = modeText === "" ? "succeeds" : modeText!.replace(/^not run: .+/, "not run");
    if (mode !== "succeeds" && mode !== "fails" && mode !== "runs on" && mode !== "not run") {
      throw new Error(`Line ${line}: "${comment}" says nothing about a test`);
    }
    const prints = regex === undefined ? undefined : new RegExp(regex, "m");
    if (mode === "runs on" && !prints) throw new Error(`Line ${line}: when is it ready?`);
    return { line, commands: code!, mode, prints } as const;
  });
}

const PROGRAM =
  /^(?:.*[;&|(]\s*|sudo )?(ocluster-(?:scheduler|worker|client|admin)|obuilder) (.*)$/;

/** The command lines of our own programs in a block: the words of each, as far as they can be told without a shell. */
export function programsIn(commands: string): string[][] {
  return commands
    .replaceAll(/\\\n\s*/g, " ")
    .split("\n")
    .flatMap((line) => {
      const [, name, args] = PROGRAM.exec(line) ?? [];
      return name === undefined ? [] : [[name, ...words(args!)]];
    });
}

/** Up to a redirection, pipe, or end of the command. */
function words(text: string): string[] {
  const [command] = /^(?:"[^"]*"|'[^']*'|[^|;&<>)"'])*/.exec(text)!;
  return (command.match(/(?:"[^"]*"|'[^']*'|\S)+/g) ?? []).map((word) =>
    word.replaceAll(/["']/g, ""),
  );
}
