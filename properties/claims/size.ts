/** Size: I18. (I19, what an extension reads as, is judged with the contents.) */
import { DELALLOC, MAPPED } from '../../src/fs/extent-map.ts'
import { CHANGED } from '../../src/lab/check/digests.ts'
import type { Look } from '../../src/lab/check/judge.ts'
import type { Claim } from './claim.ts'
import { leastSize } from './contents.ts'

/** The size at rest is what some order of the calls that returned leaves. */
const sizeAtRest = (look: Look): readonly string[] => {
  if (look.when === 'again' || (look.ioFailed && look.when !== 'rest')) return []
  const sizes = look.truth.sizes()
  if (sizes === null || sizes.has(look.inode.size)) return []
  return [`the size is ${look.inode.size}; the calls that returned leave ${[...sizes].join(' or ')}`]
}

/** A read stops only where the file ended at some time while it ran. */
const readsWhole = (look: Look): string | null => {
  const r = look.history.newest
  if (r === null || !r.ended || r.action.op !== 'read' || r.errno !== null || look.failed.length > 0) return null
  if (look.world.program.fibers.some((f) => f.some((a) => a.op === 'truncate'))) return null
  const least = leastSize(look, r)
  const want = Math.max(0, Math.min(r.action.len, least - r.from))
  return r.n < want ? `${look.say(r)}: the file had ${least} bytes when it began` : null
}

const SIZING = ['truncate', 'write', 'zero', 'allocate'] as const

/** i_disksize never promises what is not on the disk. */
const diskSize = (look: Look): string | null => {
  const { inode, fs, world } = look
  const { diskSize: size } = inode
  if (size > inode.size && !look.history.inFlight(SIZING)) {
    return `i_disksize is ${size}, i_size ${inode.size}`
  }
  // Ranges that are taken out read as zeros, whatever was to come there; the size follows (ext4_update_disksize_before_punch).
  const takenOut = look.history.records.some((r) => r.began && (r.action.op === 'punch' || r.action.op === 'zero'))
  if (size <= world.diskSizeBefore || takenOut) return null
  const asked = [...world.program.before, ...world.program.fibers.flat()]
  const wanted = asked.some((a) =>
    (a.op === 'truncate' && a.size === size) || ((a.op === 'allocate' || a.op === 'zero') && a.pos + a.len === size))
  if (wanted) return null
  if (look.ioFailed) return null
  const e = { lblk: 0, n: 0, state: DELALLOC as 0 | 1 | 2 | 3, pblk: 0 }
  const lblk = Math.floor((size - 1) / fs.blockSize)
  inode.map.lookup(lblk, 1, e)
  // A hole may have been punched there; what is delayed or unwritten has never been.
  if (e.state === 0) return null
  if (e.state !== MAPPED) return `i_disksize is ${size}, and block ${lblk} has never been written`
  return world.device.isWaiting(e.pblk * fs.blockSize) ? `i_disksize is ${size}, and the data of block ${lblk} is still on its way` : null
}

/** The claims about size. */
export const SIZE: readonly Claim[] = [
  {
    id: 'I18', family: 'size', short: 'below the size all can be read', forced: true,
    sentence: 'A reader that sees size s can read every byte below s; writeback never cuts accepted bytes; the size on disk never goes ' +
      'beyond the end of data of a completed I/O.',
    source: 'ba87ea699ebd; 1dedde690303',
    judges: [
      { on: CHANGED.history, step: readsWhole }, { on: CHANGED.size, step: diskSize },
      { on: 0, when: ['rest', 'synced', 'cold'], rest: sizeAtRest },
    ],
  },
]
