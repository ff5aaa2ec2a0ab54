import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** What once was broken is looked at first. */
class CorpusFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isCorpus = (f: TestSpecification): boolean => f.moduleId.endsWith('properties/corpus.test.ts')
    return (await super.sort(files)).sort((a, b) => Number(isCorpus(b)) - Number(isCorpus(a)))
  }
}

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'properties/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    sequence: { sequencer: CorpusFirst },
  },
})
