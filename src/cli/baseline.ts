/** Baselines: a comparison that was saved, read again and checked for being one. */
import { readFileSync } from 'node:fs'
import { type Comparison, COMPARISON_SCHEMA, type Ground, sameGround, sayGround } from '../report/document.ts'
import { UsageError } from './errors.ts'

/** The comparison in a file. @throws UsageError if it is none, or one of another schema */
export const readBaseline = (file: string): Comparison => {
  let value: Partial<Comparison> | null
  try {
    value = JSON.parse(readFileSync(file, 'utf8')) as Partial<Comparison> | null
  } catch (e) {
    if (!(e instanceof SyntaxError)) throw e
    throw new UsageError(`${file}: is not JSON (${e.message}); give a file that compare --save wrote`)
  }
  if (value?.tool !== 'perform-write' || value.command !== 'compare' || !Array.isArray(value.designs)) {
    throw new UsageError(`${file}: is no result of compare; give a file that compare --save wrote`)
  }
  if (value.schema !== COMPARISON_SCHEMA || value.manifest === undefined) {
    const found = value.manifest === undefined ? 'without a manifest' : `of schema ${String(value.schema)}`
    throw new UsageError(`${file}: a result ${found}; this version reads schema ${COMPARISON_SCHEMA} with one: save it again`)
  }
  return value as Comparison
}

/** @throws UsageError if no design of the baseline is on a ground of this run: said before any work is done */
export const mustShare = (file: string, before: Comparison, names: readonly string[], grounds: readonly Ground[]): void => {
  if (before.designs.some((d) => names.includes(d.name) && grounds.some((g) => sameGround(g, d)))) return
  const there = [...new Set(before.designs.map((d) => `${d.name} on ${sayGround(d)}`))].slice(0, 3).join('; ')
  throw new UsageError(`--against ${file}: none of its designs runs on the same ground here; it has ${there}`)
}
