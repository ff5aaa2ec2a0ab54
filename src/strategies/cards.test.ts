/**
 * The card of each design (cards/NAME.txt): what `list` shows of it, what it promises, and what six writes cost,
 * counted exactly on two formats. A card that changes is a regression, or news for those who compare: look, then
 * `npx vitest run src/strategies/cards.test.ts -u`.
 *
 * The writes, one after the other: 20000 bytes into an empty file; again, over cached data; 300 bytes inside a block
 * that only the disk knows; 3000 bytes at 60000, into nothing; 30000 at 100000 of which 9000 can be read; the same,
 * none readable. The last four columns are undo.
 */
import { expect, test } from 'vitest'
import type { AnyStrategy } from '../fs/strategy.ts'
import { type Counter, since, snapshot } from '../kernel/ledger.ts'
import { strategies } from './index.ts'
import { cold, sourceOf, stage, type Stage } from './stage.test-util.ts'

const COLUMNS: readonly (readonly [name: string, counter: Counter])[] = [
  ['begin', 'begins'], ['iter', 'iterations'], ['again', 'restarts'], ['lock', 'locks'], ['look', 'mapLookups'],
  ['resv', 'reservations'], ['blks', 'reservedBlocks'], ['rec', 'records'], ['alloc', 'allocations'],
  ['blks', 'allocatedBlocks'], ['zero', 'zeroedBlocks'], ['inner', 'innerBytes'], ['added', 'foliosAdded'],
  ['repl', 'foliosReplaced'], ['drop', 'foliosDropped'], ['dirty', 'foliosDirtied'], ['bios', 'dataBios'],
  ['punch', 'blocksPunched'], ['unres', 'blocksUnreserved'], ['zero', 'blocksZeroedUndone'], ['lock', 'locksUndone'],
]

const WRITES = [
  ['new', 20_000, 0, 20_000], ['cached', 20_000, 0, 20_000], ['cold', 300, 4_200, 300], ['far', 3_000, 60_000, 3_000],
  ['short', 30_000, 100_000, 9_000], ['efault', 30_000, 100_000, 0],
] as const

const GROUNDS = [
  { format: 'ext4', blockSize: 4096, maxFolioOrder: 2 }, { format: 'ext2', blockSize: 1024, maxFolioOrder: 0 },
] as const

const row = (cells: readonly (string | number)[]): string =>
  cells.map((cell, i) => (i === 0 ? String(cell).padEnd(6) : String(cell || '.').padStart(5))).join(' ')

const count = (s: Stage, [name, len, pos, readable]: (typeof WRITES)[number]): string => {
  const before = snapshot(s.ledger)
  s.posix.pwriteFrom(s.fd, sourceOf(len, 'a', readable), pos)
  const moved = since(before, s.ledger)
  return row([name, ...COLUMNS.map(([, counter]) => moved[counter])])
}

const costs = (strategy: AnyStrategy): string[] =>
  GROUNDS.flatMap((ground) => {
    let s = stage(strategy, ground)
    const rows = WRITES.map((write) => {
      if (write[0] === 'cold') s = cold(s)
      return count(s, write)
    })
    const where = `${ground.format}, blocks of ${ground.blockSize}, folios up to order ${ground.maxFolioOrder}`
    return ['', where, row(['', ...COLUMNS.map(([name]) => name)]), ...rows]
  })

const card = (s: AnyStrategy): string => [
  s.name, s.summary, s.source, '', `locks together: ${s.unit}`, `copy: ${s.copy}`,
  ...Object.entries(s.claims).map(([claim, value]) => `${claim}: ${value}`), ...costs(s), '',
].join('\n')

test.each(strategies)('the card of $name', async (strategy) => {
  await expect(card(strategy)).toMatchFileSnapshot(`./cards/${strategy.name}.txt`)
})

test('names are those that users type', () => {
  expect(strategies.map((s) => s.name)).toEqual(expect.arrayContaining([
    'get-block', 'reserve-allocate', 'reserve-copy-allocate', 'invalidate-splice', 'invalidate-then-add',
  ]))
})
