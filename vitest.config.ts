import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts"],
          pool: "threads",
          isolate: false,
          // Against hanging only: the machine may be busy with something else.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
          exclude: ["test/long/**"],
          pool: "forks",
          fileParallelism: false,
          testTimeout: 60_000,
          // Real processes and sockets on a shared machine: one more try, and the report says so.
          retry: 1,
        },
      },
      {
        test: {
          name: "long",
          include: ["test/long/**/*.test.ts"],
          pool: "forks",
          // For what the heap holds.
          execArgv: ["--expose-gc"],
          fileParallelism: false,
          testTimeout: 3_600_000,
        },
      },
    ],
  },
});
