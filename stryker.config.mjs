/**
 * Mutants of the strategies and of the pipeline, each judged by the tests of properties/mutation/vitest.config.ts.
 *
 * All default mutators, nothing switched off in the sources. `npm run mutation` runs this and then
 * properties/mutation/score.ts, which counts a mutant that times out as one that survived.
 * @type {import('@stryker-mutator/api/core').PartialStrykerOptions}
 */
export default {
  mutate: [
    'src/strategies/**/*.ts', '!src/strategies/index.ts', '!src/strategies/**/*.{test,test-util}.ts',
    'src/fs/perform-write.ts',
  ],
  testRunner: 'vitest',
  vitest: { configFile: 'properties/mutation/vitest.config.ts' },
  coverageAnalysis: 'perTest',
  concurrency: Number(process.env['MUTATION_CONCURRENCY'] ?? 1),
  timeoutMS: 3000,
  timeoutFactor: 2,
  incrementalFile: 'reports/mutation-incremental.json',
  reporters: ['json', 'dots'],
  jsonReporter: { fileName: 'reports/mutation.json' },
  // Its rewriting of tsconfig.json uses an API that TypeScript 7 does not have; ours needs no rewriting.
  tsconfigFile: 'none',
  tempDirName: '.stryker-tmp',
  ignorePatterns: ['dist', 'bench', 'reports', 'docs/seeds'],
  thresholds: { high: 95, low: 90, break: null },
}
