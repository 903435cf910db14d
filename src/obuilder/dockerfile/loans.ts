/*
 * Mounts of RUN that a spec does not have: files of the context, of a stage or an image, and empty
 * directories. They are there while the command runs and in no layer after it. So they are copied
 * aside, put into their place before the command, and taken away behind it, with what was written
 * there; what had been in the place comes back.
 */

import { basename, posix } from "node:path";
import { ROOT } from "../spec/spec.js";
import { type CopySource, placedSource } from "./copy-job.js";
import { oddModes } from "./copy-sources.js";
import { shellWord } from "./shell-text.js";
import { PRIVATE_NAME, type Stage } from "./stage.js";

export interface Loan {
  /** Absolute. */
  readonly target: string;
  /** Undefined for an empty directory. */
  readonly source: CopySource | undefined;
  /** In the source. */
  readonly path: string;
  /** Names the place aside. */
  readonly name: string;
  readonly warn: (message: string) => void;
}

/**
 * Has `run` add its operations between those that put the loans into their places and those that
 * take them away.
 */
export function whileLent(loans: readonly Loan[], stage: Stage, run: () => void): void {
  if (loans.length === 0) {
    run();
    return;
  }
  const ordered = loans.toSorted((a, b) => depth(a.target) - depth(b.target));
  const placing = ordered.map((loan) => putCommand(loan, copiedAside(loan, stage)));
  stage.helpIn("/", ["set -e", ...placing].join("\n"));
  run();
  const takingBack = ordered.toReversed().map(takeCommand);
  stage.helpIn("/", ["set -e", ...takingBack, `rm -rf /${PRIVATE_NAME}`].join("\n"));
}

function depth(path: string): number {
  return path.split("/").length;
}

/** Copies what is lent; the path at which it then is. */
function copiedAside({ source, path, name, warn }: Loan, stage: Stage): string | undefined {
  if (!source) return undefined;
  const aside = `/${PRIVATE_NAME}/${name}`;
  const src = posix.normalize(`/${path}`).slice(1).replace(/\/$/, "");
  const isTop = src === "";
  const real = isTop ? "" : (source.context.follow(src) ?? src);
  const exclude =
    source.context.kindOf(real || ".") === "dir" ? source.context.excludes(real, warn) : [];
  const odd = oddModes(source.context, real || ".");
  if (odd) warn(`${odd}, which Docker keeps; a spec makes it 644, or 755 for what can be executed`);
  const dst = isTop ? aside : `${aside}/`;
  const from = placedSource(isTop ? "." : real, source);
  stage.copy(
    {
      from: source.from,
      src: [from],
      dst,
      exclude: source.help && isTop ? [...exclude, PRIVATE_NAME] : exclude,
    },
    ROOT,
  );
  return isTop ? aside : `${aside}/${basename(real)}`;
}

function putCommand({ target, name }: Loan, aside: string | undefined): string {
  const kept = `/${PRIVATE_NAME}/kept-${name}`;
  const place = shellWord(target);
  const parents = parentsOf(target).map(shellWord).join(" ");
  return [
    `mkdir -p ${kept}`,
    ...(parents === ""
      ? []
      : [
          `for d in ${parents}; do [ -d "$d" ] || { mkdir "$d"; echo "$d" >> ${kept}/made; }; done`,
        ]),
    `if [ -e ${place} ] || [ -L ${place} ]; then mv ${place} ${kept}/old; fi`,
    aside === undefined ? `mkdir -m 1777 ${place}` : `mv ${shellWord(aside)} ${place}`,
  ].join("\n");
}

function takeCommand({ target, name }: Loan): string {
  const kept = `/${PRIVATE_NAME}/kept-${name}`;
  const place = shellWord(target);
  return [
    `rm -rf ${place}`,
    `if [ -e ${kept}/old ] || [ -L ${kept}/old ]; then mv ${kept}/old ${place}; fi`,
    // The inner ones first; those that something was written to stay.
    `if [ -e ${kept}/made ]; then made=; while read -r d; do made="$d\n$made"; done < ${kept}/made; ` +
      `printf '%s' "$made" | while read -r d; do rmdir "$d" 2> /dev/null || :; done; fi`,
  ].join("\n");
}

function parentsOf(path: string): string[] {
  const parts = path.split("/").slice(1, -1);
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join("/")}`);
}
