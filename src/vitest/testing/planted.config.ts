// For the child that vitest.test.ts starts.

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["src/vitest/testing/*.spec.ts"], pool: "threads" },
});
