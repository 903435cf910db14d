/**
 * Completion for bash: a function that bash calls with the words so far, and that answers with
 * candidates.
 */
import type { CompletableOption, CompletableProgram, Value } from "./model.js";

export function bashCompletion(program: CompletableProgram): string {
  const fn = `_${program.name.replaceAll("-", "_")}`;
  const commands = program.commands.map((command) => command.name);
  return `# bash completion: eval "$(${program.name} completion bash)"
${fn}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} command= word i
  # Bash splits --option=value at the equals sign.
  if [[ $cur == = ]]; then cur=
  elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
      ${commands.length === 0 ? "''" : commands.join("|")}) command=$word; break ;;
    esac
  done
  COMPREPLY=()
  case $prev in
${valueCases(program.options)}
  esac
  case $cur in
    -*) case $command in
${[{ name: "''", options: program.options }, ...program.commands]
  .map(({ name, options }) => `      ${name}) ${compgen(`-W '${spellings(options)}'`)} ;;`)
  .join("\n")}
    esac
    [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return ;;
  esac
  case $command in
    '') ${commands.length === 0 ? byValues(program.arguments) : compgen(`-W '${commands.join(" ")}'`)} ;;
${program.commands.map((each) => `    ${each.name}) ${byValues(each.arguments)} ;;`).join("\n")}
  esac
}
complete -F ${fn} ${program.name}
`;
}

function compgen(what: string): string {
  return `mapfile -t COMPREPLY < <(compgen ${what} -- "$cur")`;
}

function spellings(options: readonly CompletableOption[]): string {
  return options
    .flatMap(({ long, short, value }) => [long && (value ? `${long}=` : long), short])
    .filter((spelling) => spelling !== undefined)
    .join(" ");
}

/** For each option with a value: what that can be. Nothing else may follow it, hence the return. */
function valueCases(options: readonly CompletableOption[]): string {
  return options
    .flatMap(({ long, short, value }) => {
      if (!value) return [];
      const names = [long, short].filter((name) => name !== undefined).join("|");
      return `    ${names}) ${byValues([value])}; return ;;`;
    })
    .join("\n");
}

function byValues(values: readonly Value[]): string {
  const kinds = values.map(({ command, kind, words }) => {
    if (kind === "command") return compgen(`-W "$(${command} 2>/dev/null)"`);
    if (kind === "words") return compgen(`-W '${words.join(" ")}'`);
    if (kind === "file") return `compopt -o filenames; ${compgen("-f")}`;
    if (kind === "directory") return `compopt -o filenames; ${compgen("-d")}`;
    return ":";
  });
  return kinds[0] ?? ":";
}
