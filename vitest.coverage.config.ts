/**
 * Coverage of the rooms whose every line counts, by their quick tests: `npm run coverage`. It fails
 * below the floors, which are raised when the tests are, and never lowered.
 */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/{rpc,obuilder,scheduler}/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 300_000,
    pool: "forks",
    coverage: {
      enabled: true,
      provider: "v8",
      include: ["src/rpc/**/*.ts", "src/scheduler/{pool,jobs}/**/*.ts", "src/obuilder/**/*.ts"],
      reporter: ["text-summary", "html"],
      thresholds: {
        "src/rpc/**": { lines: 90 },
        "src/scheduler/pool/**": { lines: 90 },
        "src/scheduler/jobs/**": { lines: 90 },
        "src/obuilder/**": { lines: 60 },
      },
    },
  },
});
