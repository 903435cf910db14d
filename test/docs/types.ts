/**
 * The types of TypeScript in the documentation: each block is looked at as if it were a file of
 * `examples/`, with the project's own compiler options, so that it may import what examples do.
 */
import { basename, join } from "node:path";
import ts from "typescript";

const ROOT = join(import.meta.dirname, "../..");

/**
 * What the compiler says of some pieces of TypeScript, by their names, with lines counted from 1.
 */
export function typeErrors(pieces: ReadonlyMap<string, string>): string[] {
  const config = join(ROOT, "tsconfig.json");
  const { options, fileNames } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(config, ts.sys.readFile).config,
    ts.sys,
    ROOT,
    undefined,
    config,
  );
  const files = new Map([...pieces].map(([name, text]) => [join(ROOT, "examples", name), text]));
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.readFile = (path) => files.get(path) ?? readFile(path);
  host.getSourceFile = (path, version, ...rest) => {
    const text = files.get(path);
    if (text === undefined) return getSourceFile(path, version, ...rest);
    return ts.createSourceFile(path, text, version);
  };
  const declarations = fileNames.filter((path) => path.endsWith(".d.ts"));
  const program = ts.createProgram([...declarations, ...files.keys()], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const text = ts.flattenDiagnosticMessageText(messageText, "\n");
    if (!file) return text;
    const { line } = file.getLineAndCharacterOfPosition(start!);
    return `${basename(file.fileName)}:${line + 1}: ${text}`;
  });
}
