/**
 * The commands in a Markdown document: its fenced blocks of language `sh`, each with what a comment
 * right before it says about how to test it:
 *
 *     <!-- test: runs on, prints /REGEX/ -->       goes on running; ready when it has printed that
 *     <!-- test: prints /REGEX/ -->                its output matches
 *     <!-- test: fails, prints /REGEX/ -->         it ends with another status than 0
 *     <!-- test: not run: REASON -->               one of those in not-run.ts; its syntax is checked, no more
 *
 * Without a comment, the block must succeed.
 */
export interface Block {
  /** Of the first command, from 1. */
  readonly line: number;
  readonly commands: string;
  readonly mode: "succeeds" | "fails" | "runs on" | "not run";
  readonly prints: RegExp | undefined;
  /** Why it is not run. */
  readonly reason: string | undefined;
}

const FENCE = /^(?:<!-- test: (.*) -->\n)?```sh\n((?:.*\n)*?)```$/gm;

export function commandsIn(markdown: string): Block[] {
  return [...markdown.matchAll(FENCE)].map(({ 0: all, 1: comment, 2: code, index }) => {
    const line = lineOf(markdown, index + all.indexOf("```sh\n")) + 1;
    const [, modeText, regex] = /^(.*?)(?:(?:, |^)prints \/(.*)\/)?$/.exec(comment ?? "")!;
    const reason = /^not run: (.+)$/.exec(modeText!)?.[1];
    const mode = reason !== undefined ? "not run" : modeText === "" ? "succeeds" : modeText;
    if (mode !== "succeeds" && mode !== "fails" && mode !== "runs on" && mode !== "not run") {
      throw new Error(`Line ${line}: "${comment}" says nothing about a test`);
    }
    const prints = regex === undefined ? undefined : new RegExp(regex, "m");
    if (mode === "runs on" && !prints) throw new Error(`Line ${line}: when is it ready?`);
    return { line, commands: code!, mode, prints, reason } as const;
  });
}

/** Any fenced block, whatever its language. */
export interface Fence {
  readonly line: number;
  readonly language: string;
  readonly text: string;
}

export function fencesIn(markdown: string): Fence[] {
  return [...markdown.matchAll(/^ *```(.*)\n((?:.*\n)*?) *```$/gm)].map(
    ({ 1: language, 2: text, index }) => ({
      line: lineOf(markdown, index),
      language: language!,
      text: text!,
    }),
  );
}

/** Code within the text that is a command of one of our own programs. */
export function inlineCommandsIn(markdown: string): string[] {
  const prose = markdown.replaceAll(/^ *```(?:.*\n)*? *```$/gm, "");
  const spans = [...prose.matchAll(/`([^`]+)`/g)].map(([, span]) => span!.replaceAll(/\s+/g, " "));
  return [...new Set(spans)].filter((span) => programsIn(span).length > 0);
}

function lineOf(markdown: string, index: number): number {
  return markdown.slice(0, index).split("\n").length;
}

const OURS = /^(?:ocluster-(?:scheduler|worker|client|admin|autoscaler)|obuilder)$/;

/** The command lines of our own programs in a piece of shell. */
export function programsIn(commands: string): string[][] {
  return commandLinesIn(commands).filter(([program]) => OURS.test(program!));
}

/**
 * The command lines in a piece of shell: the words of each, as far as they can be told without a
 * shell.
 */
export function commandLinesIn(commands: string): string[][] {
  const substituted: string[] = [];
  const lines = commands
    .replaceAll(/\\\n\s*/g, " ")
    .replaceAll(/<<'?(\w+)'?.*\n(?:.*\n)*?\1$/gm, "") // here documents
    .replaceAll(/\$\(([^()]*)\)/g, (_, command: string) => `RESULT-${substituted.push(command)}`)
    .split(/\n|&&|\|\||[|;]/);
  return [...lines, ...substituted]
    .map((line) => words(line.replace(/^\s*(?:sudo )?(?:\w+=\S* )*/, "")))
    .filter((words) => words.length > 0);
}

/** Up to a redirection, comment, or end of the command. */
function words(text: string): string[] {
  const [command] = /^(?:"[^"]*"|'[^']*'|[^<>)#"'])*/.exec(text)!;
  return (command.match(/(?:"[^"]*"|'[^']*'|\S)+/g) ?? []).map((word) =>
    word.replaceAll(/["']/g, ""),
  );
}
