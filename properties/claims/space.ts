/** Space: I1 to I7, I26, I27. Every block is counted from more than one side, at every step. */
import { DELALLOC, isReal, UNWRITTEN } from '../../src/fs/extent-map.ts'
import { accountBlocks } from '../../src/fs/formats/accounting.ts'
import { ExtFormat } from '../../src/fs/formats/ext-format.ts'
import { isLeft } from 'fp-ts/lib/Either.js'
import { run } from '../../src/kernel/kernel.ts'
import { PAGE } from '../../src/kernel/units.ts'
import { CHANGED } from '../../src/lab/check/digests.ts'
import type { Look } from '../../src/lab/check/judge.ts'
import type { Raw } from '../../src/lab/check/objects.ts'
import type { World } from '../../src/lab/check/world.ts'
import { DIRTY } from '../../src/pagecache/folio.ts'
import type { Claim } from './claim.ts'

const someone = (what: string | null): readonly string[] => (what === null ? [] : [what])

// --- I1 ------------------------------------------------------------------------------------------------------------------

const total = ({ fs, inode, world: { place: world } }: Look): string | null => {
  const { freeBlocks, totalBlocks } = fs.format
  const file = inode.map.realBlocks + fs.format.mapBlocks(inode)
  const sum = freeBlocks + world.usedByOthers + file + fs.lostBlocks
  if (sum !== totalBlocks) {
    return `${freeBlocks} blocks free, ${world.usedByOthers} of others, ${file} of the file: ${sum} of ${totalBlocks}`
  }
  if (fs.space.reserved < 0) return `${fs.space.reserved} blocks reserved`
  return fs.space.available < 0 ? `${fs.space.reserved} blocks reserved, and only ${freeBlocks} free` : null
}

const byBitmaps = ({ fs }: Look): string | null => {
  const counted = run(fs.format.countFreeBlocks())
  if (isLeft(counted)) return `the bitmaps cannot be read: ${counted.left}`
  const { freeBlocks } = fs.format
  return counted.right === freeBlocks ? null : `${counted.right} blocks free by the bitmaps, ${freeBlocks} by the counter`
}

/** Errors of an undo that keep blocks from being given back. */
const KEEPS = ['EIO.free', 'EIO.shrink']

const allGone = ({ fs, world, failed }: Look): readonly string[] => {
  // A bitmap that cannot be read keeps its blocks: they are counted as lost, and e2fsck finds them.
  if (failed.some((site) => KEEPS.includes(site))) return []
  const ballast = world.place.ballast === null ? 0 : world.place.ballast.map.realBlocks + fs.format.mapBlocks(world.place.ballast)
  const free = fs.format.freeBlocks + ballast
  if (free === world.place.freeAtFirst && fs.lostBlocks === 0) return []
  return [`the file is gone: ${free} blocks free, ${world.place.freeAtFirst} at first, ${fs.lostBlocks} given up`]
}

// --- I2, I4 --------------------------------------------------------------------------------------------------------------

const owedToSomeone = ({ fs, world }: Look): string | null => {
  let owed = fs.space.splits
  for (const i of fs.inodes.values()) owed += i.map.delayedBlocks + i.owed
  let held = 0
  for (const { file } of world.files) held += file.mapping.reserved + file.mapping.reservedMap
  const { reserved } = fs.space
  return reserved === owed + held ? null : `${reserved} blocks reserved: ${owed} owed to inodes, ${held} held by writes under way`
}

const TAKING = ['truncate', 'punch', 'zero'] as const
const WRITING = ['write'] as const

/** Delayed blocks without dirty data that no write under way made. */
const bareDelayed = (look: Look): string | null => {
  const { inode, fs, history, world } = look
  if (inode.map.delayedBlocks === 0 || history.inFlight(TAKING)) return null
  const writing = history.inFlight(WRITING)
  let f: Raw | null = null
  for (const e of inode.map.extents) {
    if (e.state !== DELALLOC) continue
    for (let b = e.lblk; b < e.lblk + e.n; b++) {
      const pos = b * fs.blockSize
      if (f === null || pos >= f.pos + f.size) f = rawAt(look, Math.floor(pos / PAGE))
      if (f !== null && f.dirtyBlocks === f.blocks) {
        b = (f.pos + f.size) / fs.blockSize - 1
        continue
      }
      if (f !== null && (f.bits(pos - f.pos) & DIRTY) !== 0) continue
      if (writing && isMade(world, b)) continue
      return `block ${b} is delayed, has no dirty data over it and belongs to no write under way`
    }
  }
  return null
}

/** The folio cached at a page, with the fields behind it. */
const rawAt = ({ inode, world }: Look, index: number): Raw | null => {
  const f = inode.pages!.find(index)
  return f === null ? null : world.place.folios.raw[f.page]!
}

const isMade = ({ files }: World, lblk: number): boolean => {
  for (const { file } of files) if (file.mapping.isMade(lblk)) return true
  return false
}

/** Dirty blocks inside i_size with nothing below. */
const bareDirty = (look: Look, folios = look.changedFolios): string | null => {
  const { inode, fs, history } = look
  if (fs.strategy.claims.mmapHole === 'late' || look.world.pins || history.inFlight(TAKING)) return null
  const e = { lblk: 0, n: 0, state: DELALLOC as 0 | 1 | 2 | 3, pblk: 0 }
  for (const f of folios) {
    if (f.home !== inode.pages || f.locked || !f.dirty) continue
    const end = Math.min(f.pos + f.size, inode.size)
    for (let pos = f.pos, good = 0; pos < end; pos += fs.blockSize) {
      const lblk = pos / fs.blockSize
      if (lblk < good || (f.bits(pos - f.pos) & DIRTY) === 0) continue
      if (inode.map.lookup(lblk, f.blocks, e).state === 0) return `block ${lblk} is dirty over a hole`
      good = lblk + e.n
    }
  }
  return null
}

// --- I5, I6 --------------------------------------------------------------------------------------------------------------

const mappedTwice = ({ inode, fs }: Look): string | null => {
  const real = inode.map.extents.filter((e) => isReal(e.state)).sort((a, b) => a.pblk - b.pblk)
  for (let i = 0; i < real.length; i++) {
    const e = real[i]!
    const before = real[i - 1]
    if (before !== undefined && before.pblk + before.n > e.pblk) return `block ${e.pblk} of the disk is mapped twice`
    if (e.pblk <= 0 || e.pblk + e.n > fs.format.totalBlocks) return `block ${e.lblk} of the file is mapped to ${e.pblk}, outside the disk`
  }
  return null
}

/** What a walk through all inodes and bitmaps says. `leaks`: blocks in use that are nobody's; else all other problems. */
const accounts = (leaks: boolean) => (look: Look): readonly string[] => {
  const { fs, failed } = look
  if (!(fs.format instanceof ExtFormat) || (leaks && failed.some((site) => KEEPS.includes(site)))) return []
  return problems(look).filter((line) => line.endsWith("nobody's") === leaks)
}

const walked = new WeakMap<Look, { readonly run: number; readonly found: readonly string[] }>()

/** What the walk found, once a run. */
const problems = (look: Look): readonly string[] => {
  const m = walked.get(look)
  if (m?.run === look.history.version) return m.found
  const account = run(accountBlocks(look.fs.format as ExtFormat))
  const found = isLeft(account) ? [`the maps on disk cannot be read: ${account.left}`] : account.right.problems
  walked.set(look, { run: look.history.version, found })
  return found
}

const pastEnd = ({ inode, fs, world }: Look): readonly string[] => {
  const asked = [...world.program.before, ...world.program.fibers.flat()].some((a) => a.op === 'allocate' || a.op === 'zero')
  const end = Math.ceil(inode.size / fs.blockSize)
  const past = inode.map.extents.find((e) => e.lblk + e.n > end && !(asked && e.state === UNWRITTEN))
  return past === undefined ? [] : [`block ${Math.max(past.lblk, end)} stays, the file ends at block ${end}`]
}

// --- I26 -----------------------------------------------------------------------------------------------------------------

/** A write that failed or stopped although nothing stood in its way. */
const needless = (look: Look): readonly string[] => {
  const { history, world: { program } } = look
  if (look.failed.length > 0 || program.config.leave !== undefined || program.config.quota !== undefined) return []
  return history.records.flatMap((r) => {
    const a = r.action
    if (a.op !== 'write' || a.nowait === true) return []
    const readable = a.readable ?? a.len
    if (r.errno === 'EFAULT' && (readable < a.len || a.self !== undefined)) return []
    if (r.errno === 'EBUSY' && look.fs.strategy.claims.mayRefuse === true) return []
    if (r.errno !== null) return [`${look.say(r)}: nothing failed below it`]
    // What cannot be read, or is taken away for good, may cut it; one that fails on any unreadable byte says EFAULT above.
    if (r.n >= readable || a.self !== undefined) return []
    return [`${look.say(r)}: it stopped after ${r.n} of ${readable} bytes, and nothing failed`]
  })
}

const retried = (look: Look): readonly string[] =>
  look.again.flatMap(({ record, n }) =>
    (n === (record.action as { len: number }).len ? [] : [`${look.say(record)}, done again with room: ${n}`]))

/** What a device dirtied through a pin asked nobody for space: the design has no say (as in `bareDirty`). */
const stillDirty = ({ inode, when, world: { program } }: Look): readonly string[] =>
  when === 'synced' && !program.fibers.some((f) => f.some((a) => a.op === 'dma')) && inode.pages!.dirty.length > 0
    ? ['after sync, accepted data is still dirty: writeback found no place for it']
    : []

// --- I27 -----------------------------------------------------------------------------------------------------------------

const quotaMirrors = ({ fs, inode, world: { place } }: Look): string | null => {
  if (fs.quota === null) return null
  const { used, reserved } = fs.quota.of(0)
  const file = inode.map.realBlocks + fs.format.mapBlocks(inode)
  if (used !== place.chargedElsewhere + file) return `the owner is charged ${used} blocks and has ${place.chargedElsewhere + file}`
  if (reserved === fs.space.reserved) return null
  return `the owner holds ${reserved} reserved blocks by the quota, ${fs.space.reserved} by the counter`
}

/** The claims about space. */
export const SPACE: readonly Claim[] = [
  {
    id: 'I1', family: 'space', short: 'free + used = total, at every step', forced: true,
    sentence: 'Blocks free by the bitmaps and blocks in use by inodes and metadata are all blocks; when all files are gone, as many are ' +
      'free as at first.',
    source: 'e2fsck pass 5; 7132de744ba7',
    judges: [
      { on: CHANGED.space | CHANGED.format, step: total, when: ['rest', 'synced'], rest: (l) => someone(total(l) ?? byBitmaps(l)) },
      { on: 0, when: ['synced'], rest: accounts(true) }, { on: 0, when: ['gone'], rest: allGone },
    ],
  },
  {
    id: 'I2', family: 'space', short: 'reserved = owed + held, at every step', forced: true,
    sentence: 'The reserved counter is the sum of the delayed blocks, the map blocks owed for them, and what operations under way hold.',
    source: 'Chinner, seed 002: unreserve "can simply be accounting"; acf795dc161f',
    judges: [{ on: CHANGED.space | CHANGED.history, step: owedToSomeone, rest: (l) => someone(owedToSomeone(l)) }],
  },
  {
    id: 'I3', family: 'space', short: 'nothing stays reserved at rest', forced: true,
    sentence: 'After sync, with no operation under way, no block is reserved.',
    source: 'b1bf862e9dad; ext4 delayed_allocation_blocks',
    judges: [{
      on: 0, when: ['synced'],
      rest: ({ fs }) => (fs.space.reserved === 0 ? [] : [`${fs.space.reserved} blocks are still reserved`]),
    }],
  },
  {
    id: 'I4', family: 'space', short: 'each delayed block has dirty data', forced: true,
    sentence: 'Every delayed block has a dirty block over it or belongs to an operation under way; every dirty block has a block or a ' +
      'delayed one below it, unless stores to holes are declared to get theirs late.',
    source: 'fs/ext4/inode.c of 6.18 (the short-copy leak, Z55); 198dd8aedee6',
    judges: [
      {
        on: CHANGED.map | CHANGED.folio | CHANGED.history,
        step: (l) => bareDelayed(l) ?? bareDirty(l), rest: (l) => someone(bareDelayed(l) ?? bareDirty(l, l.folios)),
      },
      // A block that goes from below dirty data changes no folio.
      { on: CHANGED.map, step: (l) => bareDirty(l, l.folios) },
    ],
  },
  {
    id: 'I5', family: 'space', short: 'no block is mapped twice or free', forced: true,
    sentence: 'No block is mapped twice, no mapped block is free, and writeback never goes to a block that is not the file\'s.',
    source: 'e2fsck pass 1b',
    judges: [{ on: CHANGED.map, step: mappedTwice }, { on: 0, when: ['synced'], rest: accounts(false) }],
  },
  {
    id: 'I6', family: 'space', short: 'no block stays past the end of file', forced: true,
    sentence: 'After sync no written block lies past the end of a file, and unwritten ones only where fallocate asked for them.',
    source: '0f64415d4276; e2fsck "i_size is ..., should be ..."',
    judges: [{ on: 0, when: ['synced'], rest: pastEnd }],
  },
  {
    id: 'I7', family: 'space', short: 'shared blocks never change', forced: true,
    sentence: 'A block that two files share never changes its content.',
    source: 'fs/xfs/xfs_reflink.c', judges: [], vacuous: () => 'neither ext2 nor ext4 shares blocks between files',
  },
  {
    id: 'I26', family: 'space', short: 'no needless error; a retry succeeds', forced: true,
    sentence: 'Where there is room no write fails; a write that succeeded finds its space at writeback; after ENOSPC, making room makes ' +
      'a retry succeed.',
    source: 'write(2); a30d542a0035',
    judges: [
      { on: 0, when: ['rest'], rest: needless }, { on: 0, when: ['synced'], rest: stillDirty }, { on: 0, when: ['again'], rest: retried },
    ],
    declared: (s) => s.claims.mayRefuse === true,
  },
  {
    id: 'I27', family: 'space', short: 'a quota mirrors the space', forced: true,
    sentence: 'The owner of a file is charged exactly its blocks, and holds exactly what is reserved for it.',
    source: 'fs/quota/dquot.c; 7132de744ba7',
    judges: [{ on: CHANGED.space | CHANGED.map, step: quotaMirrors, rest: (l) => (l.when === 'rest' ? someone(quotaMirrors(l)) : []) }],
  },
]
