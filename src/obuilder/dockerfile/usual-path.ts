/*
 * `$PATH` of images that nobody has looked into. Nearly all have one and the same, and those of
 * some languages have directories of their own before it. It is a guess, to be checked when the
 * spec is built, by a step that fails otherwise.
 */

/** What an engine and most images have. */
const USUAL = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const BEFORE: ReadonlyMap<string, string> = new Map([
  ["golang", "/go/bin:/usr/local/go/bin"],
  ["python", "/usr/local/bin"],
  ["ruby", "/usr/local/bundle/bin"],
  ["rust", "/usr/local/cargo/bin"],
]);

/** A likely `PATH`. */
export function guessedPath(image: string): string {
  const name = image.replace(/^(?:docker\.io\/)?(?:library\/)?/, "").replace(/[:@].*/, "");
  const before = BEFORE.get(name);
  return before === undefined ? USUAL : `${before}:${USUAL}`;
}

/** A command for `/bin/sh` that fails if `PATH` is another one. */
export function checkPathCommand(path: string, image: string): string {
  return (
    `[ "$PATH" = '${path}' ] || { echo "PATH is $PATH in ${image.replace(/[^\w./:@-]/g, "")} and not ${path}, as was ` +
    'guessed; have the Docker engine pull the image, and make the spec again" >&2; exit 1; }'
  );
}
