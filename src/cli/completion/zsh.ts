/**
 * Completion for zsh, by its `_arguments`, which wants a specification of each option and argument.
 */
import type { CompletableOption, CompletableProgram, Value } from "./model.js";

export function zshCompletion(program: CompletableProgram): string {
  const fn = `_${program.name}`;
  const body =
    program.commands.length === 0
      ? `  ${argumentsCall(program.options, program.arguments)}`
      : commandsBody(program);
  return `#compdef ${program.name}
# zsh completion: source <(${program.name} completion zsh)
${fn}() {
${body}
}
compdef ${fn} ${program.name}
`;
}

function commandsBody({ commands, options }: CompletableProgram): string {
  const described = commands.map(({ name, summary }) => quote(`${name}:${summary}`));
  return `  local curcontext=$curcontext state line
  local -A opt_args
  local -a commands=(
    ${described.join("\n    ")}
  )
  _arguments -C ${specs(options).join(" ")} '1:command:->command' '*::argument:->argument' && return
  case $state in
    command) _describe command commands ;;
    argument) case $line[1] in
${commands.map((each) => `      ${each.name}) ${argumentsCall(each.options, each.arguments)} ;;`).join("\n")}
    esac ;;
  esac`;
}

function argumentsCall(options: readonly CompletableOption[], values: readonly Value[]): string {
  const positional = values.map((value, index) =>
    quote(`${index + 1}:${value.name}:${action(value)}`),
  );
  return ["_arguments", "-S", ...specs(options), ...positional].join(" ");
}

/** `'--connect=[Description]:FILE:_files'`, one for each spelling. */
function specs(options: readonly CompletableOption[]): string[] {
  return options.flatMap(({ long, short, description, value }) => {
    const tail = `[${description.replace(/[[\]\\:]/g, "\\$&")}]${value ? `:${value.name}:${action(value)}` : ""}`;
    return [long && `${long}${value ? "=" : ""}`, short && `${short}${value ? "+" : ""}`]
      .filter((spelling) => spelling !== undefined)
      .map((spelling) => quote(spelling + tail));
  });
}

function action({ command, kind, words }: Value): string {
  if (kind === "command") return `{compadd -- $(${command} 2>/dev/null)}`;
  if (kind === "file") return "_files";
  if (kind === "directory") return "_directories";
  return kind === "words" ? `(${words.join(" ")})` : " ";
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
