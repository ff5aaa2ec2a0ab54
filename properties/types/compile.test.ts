/**
 * The negative compile tests are real: with its `@ts-expect-error` lines blanked, each file has an error at every line
 * that was excused, and at no other.
 */
import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { lineOf, plant, ROOT } from '../../src/tidy/project.ts'

const files = ['properties/types/kernel.ts', 'properties/types/strategy.ts']
const MARK = '@ts-expect-error'
const isMark = (line: string): boolean => line.trimStart().startsWith(`// ${MARK}`)

describe('negative compile tests', () => {
  const texts = files.map((path) => readFileSync(ROOT + path, 'utf8'))
  // A copy beside each file, so that its relative imports stay true.
  const copies = files.map((path) => path.replace('.ts', '-blank.ts'))
  const blank = (text: string): string => text.split('\n').map((line) => (isMark(line) ? '' : line)).join('\n')
  const project = plant(Object.fromEntries(copies.map((path, i) => [path, blank(texts[i]!)])))
  afterAll(() => project.close())

  test.each(files)('%s: every excused line is an error, and no other is', (path) => {
    const i = files.indexOf(path)
    const unit = project.units.find((u) => u.path === copies[i])!
    const excused = texts[i]!.split('\n').flatMap((line, at) => (isMark(line) ? [at + 2] : []))
    const errors = project.program.getSemanticDiagnostics(ROOT + unit.path).map((d) => lineOf(unit, d.pos))
    expect(excused.length).toBeGreaterThan(5)
    expect([...new Set(errors)].sort((a, b) => a - b)).toEqual(excused)
  })
})
