/**
 * How long jobs wait, and how long machines are there for nothing, by rule: our autoscaler's, and
 * others' on the same load. All of it is simulated, so that it says the same on any machine:
 *
 *     npm run bench:scaling -- [SEED]
 */
import { LOADS, type LoadName, loadOf } from "./scaling/load.js";
import { hyperQueue, keda, kedaWanted, ours, type Policy, type Scene } from "./scaling/policies.js";
import { simulate } from "./scaling/simulation.js";

const SEED = Number(process.argv[2] ?? 1);

/** Machines that are there after two minutes, as in a cloud, for one job at a time. */
const SCENE: Scene = { max: 100, capacity: 1, target: 300 };
const ENGINE = { capacity: SCENE.capacity, pending: 30, boot: 90, idleTimeout: 300 };

const POLICIES: readonly ((scene: Scene) => Policy)[] = [
  ours,
  (scene) => hyperQueue(scene, 1),
  (scene) => hyperQueue(scene, 10),
  keda,
  kedaWanted,
];

console.log(`seed ${SEED}; at most ${SCENE.max} workers of capacity ${SCENE.capacity}\n`);
console.log(
  "| load | rule | mean wait | 95 % wait | machine hours | idle hours | started | peak |",
);
console.log("|---|---|---|---|---|---|---|---|");
for (const name of Object.keys(LOADS) as LoadName[]) {
  const jobs = loadOf(name, SEED);
  for (const policyOf of POLICIES) {
    const policy = policyOf(SCENE);
    const outcome = simulate(policy, { ...ENGINE, jobs });
    if (outcome.done !== jobs.length) throw new Error(`${policy.name} has left jobs undone`);
    const cells = [
      ...[name, policy.name, `${Math.round(outcome.meanWait)} s`],
      ...[`${Math.round(outcome.p95Wait)} s`, outcome.machineHours.toFixed(1)],
      ...[outcome.idleHours.toFixed(1), outcome.started, outcome.peak],
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}
