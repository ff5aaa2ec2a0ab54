/** The tests that judge mutants: those that are quick, the cheapest first, so that a mutant is decided in seconds. */
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const ORDER: readonly string[] = [
  'src/strategies/cards.test.ts',
  'src/fs/perform-write.test.ts',
  'src/fs/perform-write-copy.test.ts',
  'src/fs/perform-write-failure.test.ts',
  'src/fs/nowait.test.ts',
  'src/strategies/per-block.test.ts',
  'src/strategies/reserve.test.ts',
  'src/strategies/invalidate.test.ts',
  'src/strategies/invalidate-then-add.test.ts',
  'src/strategies/placing.test.ts',
  'src/strategies/lock-and-unmap.test.ts',
  'src/strategies/prepare-then-copy.test.ts',
  'src/strategies/delalloc-per-block.test.ts',
  'src/strategies/dontcache.test.ts',
  'src/strategies/lock-all-folios.test.ts',
  'src/strategies/streaming.test.ts',
  'src/strategies/write-through.test.ts',
  'src/fs/perform-write-journal.test.ts',
  'src/pipe/undo.test.ts',
  'src/pipe/donate.test.ts',
]

const place = ({ moduleId }: TestSpecification): number => ORDER.findIndex((path) => moduleId.endsWith(path))

class CheapestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return [...files].sort((a, b) => place(a) - place(b))
  }
}

export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: [...ORDER],
    // A card that is not there is a difference: a mutant of a name must not write its own.
    update: 'none',
    // One worker for all files of a run: none of them changes what another one imports, and a mutant costs a third of the time.
    isolate: false,
    sequence: { sequencer: CheapestFirst },
    testTimeout: 60_000,
  },
})
