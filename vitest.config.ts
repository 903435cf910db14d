import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Real parts (engines, TLS, builds) share two cores; the limit only catches hangs.
    testTimeout: 60_000,
    hookTimeout: 300_000,
    pool: "forks",
  },
});
