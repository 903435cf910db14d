/*
 * Builds that a process can be killed in: several at a time share steps, write many small files and
 * some larger ones, run with caches, copy from the context and from each other. All that a layer
 * has in it follows from its step.
 */

/**
 * A command that writes files for a while, replaces some of the last step's, and ends with a daemon
 * left behind. What the n-th step prints and writes has a length of its own: to "hardlink_unsafe",
 * files of one length and one second are the same.
 */
function step(name: string, n: number, fields = ""): string {
  const text = `${name}${"-".repeat(n)}`;
  const files = `mkdir -p /${name}; for i in $(seq 1 40); do echo ${text}$i > /${name}/$i; done`;
  const larger = `seq ${n}000 ${n}999 > /${name}/numbers-${n}; rm -f /${name}/numbers-${n - 1}`;
  const daemon = `(setsid sleep 1000 > /dev/null 2>&1 &)`;
  return `(run ${fields} (shell "${files}; ${larger}; ${daemon}; echo done ${text}"))`;
}

const CACHE = "(cache (shared (target /cache)))";

/** Specs on the image `busybox`; some begin with the same steps. */
export const CRASH_BUILDS: readonly string[] = [
  [step("a", 1), step("a", 2), step("a", 3, CACHE), step("a", 4)],
  [step("a", 1), step("a", 2), step("b", 3), "(copy (src .) (dst /from/context/))"],
  [step("c", 1, CACHE), "(copy (src sub) (dst /sub))", step("c", 2), step("c", 3)],
  [
    "(copy (from (build part)) (src /part /bin/busybox) (dst /got/))",
    step("d", 1),
    step("d", 2, CACHE),
  ],
].map(
  (ops) => `((build part ((from busybox) (shell /bin/sh -c) ${step("part", 1)} ${step("part", 2)}))
    (from busybox) (shell /bin/sh -c) ${ops.join(" ")})`,
);
