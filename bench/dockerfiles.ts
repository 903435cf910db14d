/**
 * npm run bench:dockerfiles -- DIR [--examples] [--build]
 *
 * How many of the Dockerfiles of a corpus (bench/dockerfiles/corpus.ts) become specs, and why
 * others do not: once as where no base image is at hand, once as where all are. With --examples
 * each reason names the files that it is the reason for. With --build those that can be built
 * without a network are, by both.
 */
import { compareAll, type Verdict } from "./dockerfiles/compare.js";
import { convertSample, type Outcome, readCorpus, type Sample } from "./dockerfiles/corpus.js";

const [dir, ...flags] = process.argv.slice(2);
if (dir === undefined) {
  console.error("usage: npm run bench:dockerfiles -- DIR [--examples] [--build]");
  process.exit(2);
}
const corpus = readCorpus(dir);
const withExamples = flags.includes("--examples");

function report(title: string, imagesAreKnown: boolean): void {
  const outcomes = corpus.map((sample): [Sample, Outcome] => [
    sample,
    convertSample(sample, imagesAreKnown),
  ]);
  const converted = outcomes.flatMap(([, outcome]) => ("spec" in outcome ? [outcome] : []));
  const clean = converted.filter(({ warnings }) => warnings.length === 0).length;
  const percent = (n: number) => `${n} (${((100 * n) / corpus.length).toFixed(1)} %)`;
  console.log(`${title}: ${corpus.length} Dockerfiles`);
  console.log(`  converted              ${percent(converted.length)}`);
  console.log(`    without a warning    ${percent(clean)}`);
  console.log(`  refused                ${percent(corpus.length - converted.length)}`);
  table(
    "refused because",
    outcomes.flatMap(([{ name }, outcome]) =>
      "spec" in outcome ? [] : outcome.problems.map(({ message }) => ({ name, message })),
    ),
  );
  table(
    "warned that",
    outcomes.flatMap(([{ name }, outcome]) =>
      "spec" in outcome ? outcome.warnings.map(({ message }) => ({ name, message })) : [],
    ),
  );
  console.log();
}

/** How many files each kind of message is for, the most frequent first. */
function table(title: string, said: readonly { name: string; message: string }[]): void {
  const files = new Map<string, Map<string, string>>();
  for (const { name, message } of said) {
    const kind = kindOf(message);
    const names = files.get(kind) ?? new Map<string, string>();
    names.set(name, message);
    files.set(kind, names);
  }
  console.log(`  ${title}`);
  for (const [kind, names] of [...files].sort(([, a], [, b]) => b.size - a.size)) {
    console.log(`    ${String(names.size).padStart(4)}  ${kind}`);
    if (!withExamples) continue;
    for (const [name, message] of names) console.log(`            ${name}: ${message}`);
  }
}

/** A message without what is of one Dockerfile alone. */
function kindOf(message: string): string {
  return message
    .replace(
      /^[A-Z, and]+ (?:is|are) left out: .*/,
      "instructions about running the image are left out",
    )
    .replace(/^.*? has mode/, "… has mode")
    .replace(/became what it matches now.*/, "became what it matches now: …")
    .replace(/"[^"]*"/g, "…")
    .replace(/\b(image|user|pull|instruction|group|in|if) \S+/g, "$1 …")
    .split(" ")
    .map((word) => (/[/$*\d_@\\<>{}()[\]=]|[^:;,]\.\w|^\.+,?$|:\w/.test(word) ? "…" : word))
    .join(" ")
    .replace(/…(?:[ ,]+…)+/g, "…")
    .slice(0, 130);
}

report("No base image is known", false);
report("All base images are known", true);
if (flags.includes("--build")) {
  const verdicts = new Map<Verdict, number>();
  await compareAll(corpus, ({ name }, verdict, details) => {
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
    if (!withExamples && (verdict === "the same files" || verdict === "not built by Docker"))
      return;
    console.log(`  ${verdict}: ${name}`);
    for (const line of details.slice(0, 10)) console.log(`      ${line}`);
  });
  console.log("Built by both, on stand-ins for base images");
  for (const [verdict, count] of verdicts)
    console.log(`    ${String(count).padStart(4)}  ${verdict}`);
}
