/**
 * inspect: is a session as it must be when no operation is in flight?
 *
 * Each function looks at one family of claims and answers with what is wrong. They read the state of the mount directly,
 * never through the code under judgement's own checks.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { DELALLOC } from '../fs/extent-map.ts'
import type { Posix } from '../fs/posix.ts'
import { quotaCheck } from '../fs/quota.ts'
import { run } from '../kernel/kernel.ts'
import { PAGE, roundUp } from '../kernel/units.ts'
import type { AddressSpace } from '../pagecache/address-space.ts'
import { DIRTY } from '../pagecache/folio.ts'
import type { Finding } from './play.ts'
import type { Session } from './session.ts'
import { EXTENSION, type Truth, type Wrong } from './truth.ts'

/** I17: locks, folio locks, pins and pages. `pins`: how many pins are out. */
export const balance = ({ fs, cache }: Session, pins: number): Finding[] => {
  const wrong: string[] = []
  let pages = 0
  let pinned = 0
  for (const inode of fs.cachedInodes()) {
    const held = [
      inode.rwsem.exclusive || inode.rwsem.shared > 0 ? 'the inode lock' : '',
      inode.invalidateLock.exclusive || inode.invalidateLock.shared > 0 ? 'the invalidate lock' : '',
      inode.mapLock.held ? 'the map lock' : '',
    ].filter((name) => name !== '')
    if (held.length > 0) wrong.push(`inode ${inode.ino}: ${held.join(' and ')} is still held`)
    for (const f of inode.pages?.inRange(0, Number.MAX_SAFE_INTEGER) ?? []) {
      pages += f.pages
      pinned += f.pins
      if (f.locked) wrong.push(`inode ${inode.ino}: the folio at page ${f.index} is still locked`)
      if (f.writeback) wrong.push(`inode ${inode.ino}: the folio at page ${f.index} is under writeback for ever`)
    }
  }
  if (pinned > pins) wrong.push(`${pinned} pins on cached folios, expected ${pins}`)
  const leaked = cache.usedPages - pages
  if (pins === 0 && leaked !== 0) wrong.push(`${cache.usedPages} pages in use, ${pages} of them cached: ${leaked} leaked`)
  return wrong.map((what) => ({ claim: 'I17', what }))
}

/** I2 and I4: what is reserved, and for whom. */
export const spaceNow = ({ fs }: Session): Finding[] => {
  const found: Finding[] = []
  let owed = 0
  for (const inode of fs.cachedInodes()) {
    owed += inode.map.delayedBlocks + inode.owed
    for (const e of inode.map.extents) {
      if (e.state !== DELALLOC) continue
      const bare = bareBlocks(inode.pages!, e.lblk, e.n, fs.blockSize)
      if (bare === 0) continue
      const where = `inode ${inode.ino}: ${bare} delayed blocks of [${e.lblk}, +${e.n})`
      found.push({ claim: 'I4', what: `${where} have no dirty data over them` })
    }
  }
  const { reserved, available } = fs.space
  if (reserved !== owed) found.push({ claim: 'I2', what: `${reserved} blocks reserved, ${owed} owed to inodes` })
  if (available < 0) found.push({ claim: 'I2', what: `${available} blocks available` })
  return found
}

/** I27: each owner is charged with what his inodes have and were promised, counted anew from the inodes. */
export const quotaNow = ({ fs }: Session): Finding[] => {
  const { quota } = fs
  if (quota === null) return []
  const counted = new Map<number, { used: number; reserved: number }>()
  const of = (uid: number): { used: number; reserved: number } => {
    if (!counted.has(uid)) counted.set(uid, { used: 0, reserved: 0 })
    return counted.get(uid)!
  }
  const read = run(quotaCheck(fs.format, fs.inodes, (inode, blocks) => void (of(inode.uid).used += blocks)))
  if (isLeft(read)) return [{ claim: 'I27', what: `counting the inodes failed with ${read.left}` }]
  for (const inode of fs.cachedInodes()) of(inode.uid).reserved += inode.map.delayedBlocks + inode.owed
  return [...new Set([...quota.users, ...counted.keys()])].flatMap((uid) => {
    const [is, should] = [quota.of(uid), of(uid)]
    if (is.used === should.used && is.reserved === should.reserved) return []
    const said = `${is.used} used + ${is.reserved} reserved`
    return [{ claim: 'I27', what: `user ${uid} is charged with ${said} blocks; his inodes have ${should.used} + ${should.reserved}` }]
  })
}

const bareBlocks = (pages: AddressSpace, lblk: number, n: number, block: number): number => {
  let bare = 0
  for (let b = lblk; b < lblk + n; b++) {
    const f = pages.find(Math.floor((b * block) / PAGE))
    if (f === null || (f.bits(b * block - f.pos) & DIRTY) === 0) bare++
  }
  return bare
}

/** I3 and I6, after a sync. `asked`: fallocate asked for blocks past the end. */
export const spaceAtRest = ({ fs }: Session, asked: boolean): Finding[] => {
  const found: Finding[] = []
  if (fs.space.reserved !== 0) found.push({ claim: 'I3', what: `${fs.space.reserved} blocks are still reserved` })
  for (const inode of fs.cachedInodes()) {
    const end = roundUp(inode.size, fs.blockSize) / fs.blockSize
    if (inode.isFile && !asked && inode.map.end > end) {
      found.push({ claim: 'I6', what: `inode ${inode.ino}: blocks up to ${inode.map.end}, the file ends at block ${end}` })
    }
  }
  return found
}

/** What `contents` must know of the judged write. */
export interface Judged {
  readonly failed: boolean
  /** The bytes come from the disk, not from what the write left in the cache. */
  readonly disk: boolean
  readonly pos: number
  readonly written: number
  /** What it would have written. */
  readonly bytes: Buffer
  readonly oldSize: number
  /** Its step number. */
  readonly judged: number
  readonly sayOwner: (owner: number) => string
}

/** Contents and size of the open file `fd`, against the truth. */
export const contents = (posix: Posix, fd: number, truth: Truth, j: Judged): Finding[] => {
  const stat = posix.fstat(fd)
  const into = Buffer.alloc(truth.size + 1)
  const n = posix.pread(fd, into, 0)
  if (isLeft(stat)) return [{ claim: 'I11', what: `fstat failed with ${stat.left}` }]
  if (isLeft(n)) return [{ claim: 'I11', what: `reading the file failed with ${n.left}` }]
  const own = j.failed ? 'I12' : 'I11'
  const { size } = stat.right
  if (size !== truth.size) return [{ claim: own, what: `the size is ${size}, expected ${truth.size}` }]
  if (n.right !== truth.size) return [{ claim: own, what: `${n.right} bytes were readable of ${truth.size}` }]
  const wrong = truth.compare(into.subarray(0, truth.size), j.bytes, j.pos)
  return wrong.map((w) => ({ claim: claimOf(w, j), what: sayWrong(w, j) }))
}

/** The claim that a run of wrong bytes belongs to: by what was expected, what is shown, and how the write ended. */
const claimOf = (w: Wrong, j: Judged): string => {
  if (w.owner === j.judged && !j.failed) return j.disk ? 'I9' : 'I11'
  if (w.poison) return 'I10'
  if (j.sayOwner(w.owner).startsWith('store')) return 'I23'
  if (w.owner === EXTENSION && w.pos < j.pos) return 'I19'
  if (j.failed) return w.foreign ? 'I12' : 'I14'
  return w.foreign || j.written === j.bytes.length ? 'I11' : 'I14'
}

const hex = (b: number): string => `0x${b.toString(16).padStart(2, '0')}`

const sayWrong = (w: Wrong, j: Judged): string => {
  const what = w.poison ? ' (stale or uninitialised)' : w.foreign ? ' (a byte of the judged write)' : ''
  const owner = w.owner === EXTENSION ? 'an extension (zeros)' : j.sayOwner(w.owner)
  return `${w.len} bytes at ${w.pos} are wrong: ${hex(w.found)}${what}, expected ${hex(w.expected)} of ${owner}`
}
