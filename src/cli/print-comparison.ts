/** The printed report of `compare`: ground by ground, first what holds, then what it costs. */
import { SCENES } from '../lab/scene.ts'
import { changeLines, type Changes } from '../report/changes.ts'
import { claimsTable, conclusion, costTable, failures, judgeLines, undoTable, wallTable } from '../report/comparison.ts'
import { type Comparison, type Ground, isMarked, type JudgeTally, sameGround, sayGround, sayManifest } from '../report/document.ts'
import { plural } from '../report/format.ts'
import { wrap } from '../report/table.ts'

const out = (text: string): void => void (text !== '' && process.stdout.write(`${text}\n`))

/** Print it. `missing` says of each judge that did not look why; `changes` are those since a baseline, or null. */
export const printComparison = (c: Comparison, missing: readonly string[], changes: Changes | null): void => {
  for (const ground of c.grounds) printGround(c, ground)
  if (c.designs.some(isMarked)) out('* this design broke a claim: what a wrong design saves is not a result.\n')
  for (const race of c.wall) {
    if (c.grounds.length > 1) out(`on ${sayGround(race)}:`)
    out(wallTable(race, c.designs.filter((d) => sameGround(d, race))))
  }
  out(failures(c.designs))
  if (changes !== null) out(changeLines(changes))
  out(judgeLines(mergeJudged(c.designs.flatMap((d) => d.judges))) + missing.map((m) => `not judged by ${m}\n`).join('') +
    conclusion(c.designs))
  process.stdout.write(`${wrap(sayManifest(c), 2)}\n`)
}

const printGround = (c: Comparison, ground: Ground): void => {
  const columns = c.designs.filter((d) => sameGround(d, ground))
  const kills = c.mutants.filter((k) => sameGround(k, ground))
  out(`${plural(columns.length, 'design')} on ${sayGround(ground)}, seed ${c.seed}: only the design changes.\n${wrap(
    `${SCENES.length} scenes, each write once with no fault and once for every fault site that it reaches. ` +
      'Contents of all files are compared with an independent model.')}\n`)
  out(claimsTable(columns, kills))
  for (const w of c.workloads) for (const s of c.sources) out(costTable(w, s, columns))
  out(undoTable(columns))
}

const mergeJudged = (all: readonly JudgeTally[]): readonly JudgeTally[] => {
  const names = [...new Set(all.map((j) => j.judge))].sort()
  return names.map((judge) => {
    const theirs = all.filter((j) => j.judge === judge)
    return { judge, images: theirs.reduce((n, j) => n + j.images, 0), refused: theirs.flatMap((j) => j.refused) }
  })
}
