/**
 * Completion for fish: one `complete` line for each command, option and kind of argument.
 */
import type { CompletableOption, CompletableProgram, Value } from "./model.js";

export function fishCompletion({ name, commands, options, arguments: values }: CompletableProgram) {
  const lines = [`# fish completion: ${name} completion fish | source`, `complete -c ${name} -f`];
  // Not fish's own __fish_use_subcommand: for that, the file of `-c FILE` is a command.
  const names = commands.map((command) => command.name).join(" ");
  const noCommand = `not __fish_seen_subcommand_from ${names}`;
  if (commands.length === 0) {
    lines.push(...options.map((each) => optionLine(name, "", each)));
    lines.push(...values.slice(0, 1).map((value) => `complete -c ${name} ${candidates(value)}`));
  }
  for (const { name: command, summary } of commands) {
    lines.push(`complete -c ${name} -n ${quote(noCommand)} -a ${command} -d ${quote(summary)}`);
  }
  if (commands.length > 0) {
    lines.push(...options.map((each) => optionLine(name, noCommand, each)));
  }
  for (const command of commands) {
    const condition = `__fish_seen_subcommand_from ${command.name}`;
    lines.push(...command.options.map((each) => optionLine(name, condition, each)));
    lines.push(
      ...command.arguments
        .slice(0, 1)
        .map((value) => `complete -c ${name} -n ${quote(condition)} ${candidates(value)}`),
    );
  }
  return `${lines.join("\n")}\n`;
}

function optionLine(name: string, condition: string, option: CompletableOption): string {
  const words = ["complete", "-c", name];
  if (condition !== "") words.push("-n", quote(condition));
  if (option.long) words.push("-l", option.long.slice(2));
  if (option.short) words.push("-s", option.short.slice(1));
  words.push("-d", quote(option.description));
  if (option.value) words.push("-r", candidates(option.value));
  return words.join(" ");
}

function candidates({ command, kind, words }: Value): string {
  if (kind === "command") return `-f -a ${quote(`(${command} 2>/dev/null)`)}`;
  if (kind === "file") return "-F";
  if (kind === "directory") return "-f -a '(__fish_complete_directories)'";
  return kind === "words" ? `-f -a ${quote(words.join(" "))}` : "-f";
}

function quote(text: string): string {
  return `'${text.replace(/['\\]/g, "\\$&")}'`;
}
