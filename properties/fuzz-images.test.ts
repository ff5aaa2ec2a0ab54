/** Damaged images: those that once broke something, and some thousand new ones. `npm run fuzz` plays 100,000. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { shrink } from './fuzz-images.ts'
import { drawInput, type Input } from './fuzz/input.ts'
import { play } from './fuzz/play.ts'
import { SEED_NAMES, seedNamed } from './fuzz/seeds.ts'

const folder = join(import.meta.dirname, 'corpus', 'images')

test.for(readdirSync(folder).filter((name) => name.endsWith('.json')))('%s', (name) => {
  const { damage, seed, size, play: drawn } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Input
  expect(play({ seed, damage, play: drawn, ...(size !== undefined && { size }) }).finding).toBeNull()
})

test.each(SEED_NAMES)('seed %s mounts as it is', (seed) => {
  expect(play({ seed, damage: [], play: 1 })).toEqual({ finding: null, mounted: true })
  expect(seedNamed(seed).hot.length).toBeGreaterThan(5)
})

test('the same number is the same input', () => {
  expect(drawInput(1, 7)).toEqual(drawInput(1, 7))
  expect(drawInput(1, 7)).not.toEqual(drawInput(1, 8))
})

describe('3,000 inputs: an answer to every call, nothing thrown, no bio outside', () => {
  test.for(Array.from({ length: 10 }, (_, i) => i))('part %i', { timeout: 60_000 }, (part) => {
    const wrong: string[] = []
    let mounted = 0
    for (let n = part * 300; n < part * 300 + 300; n++) {
      const played = play(drawInput(20100522, n))
      if (played.mounted) mounted++
      if (played.finding !== null) wrong.push(`--seed 20100522 --input ${n}: ${played.finding}`)
    }
    expect(wrong).toEqual([])
    // Refusing everything would be easy.
    expect(mounted).toBeGreaterThan(150)
  })
})

test('what is saved of a finding is the damage that it needs', () => {
  const input: Input = { seed: 'ext2', play: 1, damage: [{ at: 5, bytes: '010203' }, { at: 2000, bytes: '0a0b0c0d' }] }
  const needs = (i: Input): boolean => i.damage.some(({ at, bytes }) => at <= 2002 && at + bytes.length / 2 > 2002 && bytes.includes('0c'))
  expect(shrink(input, needs).damage).toEqual([{ at: 2002, bytes: '0c' }])
})
