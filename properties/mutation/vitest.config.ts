/** The tests that judge mutants: quick ones, the cheapest first, so that a mutant is decided in seconds. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: [
      'src/strategies/**/*.test.ts',
      'src/fs/*.test.ts',
      'properties/contents.test.ts',
      'properties/agreement.test.ts',
      'properties/prefix.test.ts',
      'properties/corpus.test.ts',
    ],
    testTimeout: 60_000,
  },
})
