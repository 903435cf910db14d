import { defineConfig } from "vitest/config";

/**
 * Tests of whole programs on this machine: engines, mounts, processes. Some look at all that there
 * is on it.
 */
const MACHINE = [
  "test/{integration,docs,deploy,docker,interop,system}/**/*.test.ts",
  "test/*.test.ts",
];

export default defineConfig({
  test: {
    // Real parts (engines, TLS, builds) share two cores; the limit only catches hangs.
    testTimeout: 60_000,
    hookTimeout: 300_000,
    pool: "forks",
    projects: [
      {
        extends: true,
        test: {
          name: "rooms",
          include: ["test/**/*.test.ts"],
          exclude: MACHINE,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "machine",
          include: MACHINE,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
