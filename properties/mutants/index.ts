/**
 * The catalogue: real kernel bugs, each as the smallest change to a good file.
 *
 * A tick of the checker is worth what its teeth are: each entry must be killed by the claim that names it, by programs that
 * were not written for it. What the model cannot express yet stands in not-expressible.md.
 * Imports nothing of src, so that a loader can patch it before it is read.
 */
import { CALLS } from './calls.ts'
import { CLASSES } from './classes.ts'
import { COPY } from './copy.ts'
import { EDGES } from './edges.ts'
import { ERRORS } from './errors.ts'
import { INVALIDATE } from './invalidate.ts'
import { MMAP_MUTANTS } from './mmap.ts'
import type { Mutant } from './mutant.ts'
import { ROLLBACK } from './rollback.ts'
import { SIZE } from './size.ts'
import { SPACE } from './space.ts'
import { WRITEBACK_MUTANTS } from './writeback.ts'

/** All mutants, by id. */
export const MUTANTS: readonly Mutant[] = [
  ...COPY, ...EDGES, ...ROLLBACK, ...SPACE, ...WRITEBACK_MUTANTS, ...ERRORS, ...MMAP_MUTANTS, ...INVALIDATE, ...SIZE, ...CALLS, ...CLASSES,
].sort((a, b) => (a.id < b.id ? -1 : 1))

/** The mutant with this id. @throws Error if there is none */
export const mutant = (id: string): Mutant => {
  const found = MUTANTS.find((m) => m.id === id)
  if (found === undefined) throw new Error(`no mutant ${id}: use one of ${MUTANTS.map((m) => m.id).join(', ')}`)
  return found
}
