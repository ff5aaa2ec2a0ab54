/**
 * Contents: I8 to I14, I18, I19, I23, I24: which bytes may stand where.
 *
 * All of them come from one question (check/truth.ts): may this value be shown at this place now? A byte that may not is put to
 * the claim whose sentence it breaks, by what it is and by whose byte is missing.
 */
import { MAPPED } from '../../src/fs/extent-map.ts'
import type { History, Record } from '../../src/lab/check/history.ts'
import { CHANGED } from '../../src/lab/check/digests.ts'
import type { Look } from '../../src/lab/check/judge.ts'
import { fold } from '../../src/lab/check/hash.ts'
import { bitsOf, memoryOf, OBJECT, type Raw } from '../../src/lab/check/objects.ts'
import { sayWrong, type Wrong } from '../../src/lab/check/truth.ts'
import { DIRTY, UPTODATE } from '../../src/pagecache/folio.ts'
import type { Claim } from './claim.ts'

const TAKING = ['truncate', 'punch', 'zero']
const STORES = ['store', 'dma']
const CHANGING = ['truncate', 'punch', 'zero', 'allocate'] as const

/** The claim that a wrong byte breaks. */
const breaks = (w: Wrong, look: Look): string => {
  if (w.kind === 'stale' || w.kind === 'raw') return 'I10'
  const failed = (r: Record): boolean => r.ended && r.errno !== null
  if (w.kind === 'foreign') return w.of !== null && failed(w.of) ? (w.of.errno === 'EINTR' ? 'I29' : 'I12') : 'I11'
  if (w.pos >= look.truth.size && w.kind === 'old' && w.of === null) return 'I19'
  if (w.missing.some((r) => TAKING.includes(r.action.op))) return 'I24'
  if (w.missing.length > 0 && w.missing.every((r) => STORES.includes(r.action.op))) return 'I23'
  // One that was cut short has failed for the rest.
  const cut = (r: Record): boolean => r.ended && r.action.op === 'write' && (r.errno !== null || r.n < r.action.len)
  if (look.history.records.some(cut)) return 'I14'
  if (look.when === 'cold' || look.when === 'again') return 'I9'
  return look.when === null ? 'I8' : 'I11'
}

interface Found {
  readonly claim: string
  readonly what: string
}

/** What the judges of this family found in the last step that one of them looked at: worked out once for them all. */
const last: { history: History | null; version: number; steps: number; found: Found | null } =
  { history: null, version: 0, steps: 0, found: null }

const found = (w: Wrong | null, look: Look, where: string): Found | null =>
  w === null ? null : { claim: breaks(w, look), what: `${where}: ${sayWrong(w, look.say)}` }

/** Bytes of the cache, and of a read that just returned. */
const wrongNow = (look: Look): Found | null => {
  const { history, world: { steps } } = look
  if (last.history === history && last.version === history.version && last.steps === steps) return last.found
  last.found = inCache(look, look.changedFolios) ?? inReads(look)
  last.history = history
  last.version = history.version
  last.steps = steps
  return last.found
}

/** Is nothing promised? Data whose writeback failed is lost, with its error recorded, once it has left the cache. */
export const lost = (look: Look): boolean => look.failed.includes('EIO.write') && look.world.evicts

/** Folios that showed nothing wrong, by all that this depends on: their bits and bytes, the size, and what every action did. */
const clean = new WeakMap<History, Set<number>>()

const inCache = (look: Look, folios: readonly Raw[]): Found | null => {
  if (folios.length === 0 || lost(look)) return null
  const { digests } = look.world
  let known = clean.get(look.history)
  if (known === undefined) clean.set(look.history, (known = new Set()))
  let past = look.inode.size
  for (let i = 0; i < look.world.program.fibers.length; i++) past = fold(past, digests.of(OBJECT.ended + i))
  for (const f of folios) {
    if (f.home !== look.inode.pages) continue
    const key = fold(past, fold(digests.of(bitsOf(f.page)), digests.of(memoryOf(f.page))))
    if (known.has(key)) continue
    const w = found(look.truth.wrongInFolio(f, look.inode.size), look, `page ${f.index} of the cache`)
    if (w !== null) return w
    known.add(key)
  }
  return null
}

/** Bytes that the file had at least when `r` began, and until now. */
export const leastSize = (look: Look, r: Record): number => {
  if (look.world.program.fibers.some((f) => f.some((a) => a.op === 'truncate'))) return 0
  let least = look.truth.size
  for (const u of look.history.records) {
    if (u.action.op === 'write' && u.errno === null && (r.before & (1 << u.id)) !== 0) least = Math.max(least, u.from + u.n)
  }
  return least
}

const inReads = (look: Look): Found | null => {
  if (lost(look)) return null
  for (const r of look.history.records) {
    if (!r.ended || r.bytes === null || r.errno !== null || !look.history.isNewest(r)) continue
    // What could not be written is in the cache only, and a direct read looks at the disk.
    if (r.action.op === 'read' && r.action.direct === true && look.failed.length > 0) continue
    // A mapping shows the whole page: what lies past the end there is nobody's.
    const n = r.action.op === 'load' ? Math.min(r.n, leastSize(look, r) - r.from) : r.n
    const w = n <= 0 ? null : found(look.truth.wrong(r.bytes, 0, r.from, n, r), look, look.say(r))
    if (w !== null) return w
  }
  return null
}

const rests = new WeakMap<History, { version: number; when: string | null; found: Found | null }>()

/** As `lookAtRest`, worked out once a stage. */
const atRest = (look: Look): Found | null => {
  const m = rests.get(look.history)
  if (m !== undefined && m.version === look.history.version && m.when === look.when) return m.found
  const result = lookAtRest(look)
  rests.set(look.history, { version: look.history.version, when: look.when, found: result })
  return result
}

/** The whole file as it is read at this stage. Where I/O failed, only what is cached counts. */
const lookAtRest = (look: Look): Found | null => {
  if (look.contents === null || (look.ioFailed && look.when !== 'rest') || look.when === 'again' || lost(look)) return null
  const stage = { rest: 'the file at rest', synced: 'the file after sync', cold: 'the file read from the disk' }[look.when as 'rest']
  return found(look.truth.wrong(look.contents, 0, 0, look.contents.length), look, stage)
}

/** The judge of one claim of this family. */
const judge = (claim: string): Claim['judges'] => [{
  on: CHANGED.folio | CHANGED.bytes | CHANGED.size | CHANGED.history,
  step: (look) => {
    const w = wrongNow(look)
    return w !== null && w.claim === claim ? w.what : null
  },
  when: ['rest', 'synced', 'cold'],
  rest: (look) => {
    const w = atRest(look)
    return w !== null && w.claim === claim ? [w.what] : []
  },
}]

// --- I9 ------------------------------------------------------------------------------------------------------------------

const scratch = Buffer.alloc(4096)

/** Clean, uptodate and at rest in the cache: then the disk says the same. */
const cleanEqualsDisk = (look: Look, folios = look.changedFolios): string | null => {
  const { inode, fs, history, world } = look
  if (look.ioFailed || history.inFlight(CHANGING)) return null
  const e = { lblk: 0, n: 0, state: 0 as 0 | 1 | 2 | 3, pblk: 0 }
  // What a fault brings in while a direct write is under way goes when that ends.
  if (history.records.some((r) => r.began && !r.ended && r.action.op === 'write' && r.action.direct === true)) return null
  for (const f of folios) {
    if (f.home !== inode.pages || f.locked || f.writeback || f.pins > 0 || f.dirty) continue
    for (let off = 0; off < f.size && f.pos + off < inode.size; off += fs.blockSize) {
      // A page that was stored to during a direct write cannot be dropped: its rest stays as it was, and an error is recorded.
      if ((f.bits(off) & (UPTODATE | DIRTY)) !== UPTODATE || look.truth.meetsDirect(f.pos + off)) continue
      inode.map.lookup((f.pos + off) / fs.blockSize, 1, e)
      if (e.state === MAPPED) world.device.peek(scratch, e.pblk * fs.blockSize, fs.blockSize)
      else scratch.fill(0, 0, fs.blockSize)
      const n = Math.min(fs.blockSize, inode.size - f.pos - off)
      if (f.slab.bytes.compare(scratch, 0, n, f.base + off, f.base + off + n) !== 0) {
        return `block ${(f.pos + off) / fs.blockSize} is clean and uptodate in the cache, and the disk says otherwise`
      }
    }
  }
  return null
}

/** The claims about contents. */
export const CONTENTS: readonly Claim[] = [
  {
    id: 'I8', family: 'contents', short: 'uptodate blocks hold the file', forced: true,
    sentence: 'Inside i_size, outside ranges that are being copied, an uptodate block holds the bytes of the file; a folio is ' +
      'uptodate only if its blocks are.',
    source: 'Piggin 2006, linux-fsdevel: "zeros temporarily appearing"; libfs series of 2007-02', judges: judge('I8'),
  },
  {
    id: 'I9', family: 'contents', short: 'clean and uptodate = the disk', forced: true,
    sentence: 'What is clean, uptodate and not under writeback equals the disk, or its error is recorded in the address space.',
    source: '3b136499e906; e9c3a8e820ed',
    judges: [...judge('I9'), {
      on: CHANGED.folio | CHANGED.bytes | CHANGED.disk | CHANGED.map | CHANGED.lock, step: (look) => cleanEqualsDisk(look),
      rest: (look) => [cleanEqualsDisk(look, look.folios) ?? ''].filter((what) => what !== ''),
    }],
  },
  {
    id: 'I10', family: 'contents', short: 'no stale or raw byte is readable', forced: true,
    sentence: 'No byte of a former owner of a block, and none of fresh memory, is ever readable: by read, by a mapping, or from the disk.',
    source: 'Chinner, seed 002: "uninitialised blocks expose stale data"; 2cd8bdb5efc1', judges: judge('I10'),
  },
  {
    id: 'I11', family: 'contents', short: 'n bytes are written, and nothing else', forced: true,
    sentence: 'After a write that returns n, bytes [pos, pos + n) come from the source and everything else is unchanged.',
    source: 'write(2), POSIX.1-2024', judges: judge('I11'),
  },
  {
    id: 'I12', family: 'contents', short: 'a failed write changes nothing', forced: true,
    sentence: 'A write that returns an errno leaves the size and every readable byte as they were.',
    source: 'Piggin, seed 002: "operations after the copy not able to fail"', judges: judge('I12'),
    declared: (s) => !s.claims.rollback,
  },
  {
    id: 'I14', family: 'contents', short: 'a failed write removes nothing older', forced: true,
    sentence: 'After a success no later failed operation removes the data: rollback touches only what this write made.',
    source: 'f65e6fad293b (LTP write03); f43dc4dc3eff', judges: judge('I14'),
  },
  {
    id: 'I19', family: 'size', short: 'an extension reads as zeros', forced: true,
    sentence: 'Bytes past the end inside the last block read as zeros after any extension: a write beyond, truncate up, fallocate.',
    source: '52aecaee1c26; pagecache_isize_extended (mm/truncate.c)', judges: judge('I19'),
  },
  {
    id: 'I23', family: 'isolation', short: 'no mapped or pinned store is lost', forced: true,
    sentence: 'Each store through a mapping or a pin ends in a written block or is ordered before a truncate or an overwrite.',
    source: 'Piggin, seed 002: "writable mmaps ... get_user_pages"; 79352894b285', judges: judge('I23'),
  },
  {
    id: 'I24', family: 'isolation', short: 'truncated bytes do not come back', forced: true,
    sentence: 'After truncate or punch returned, nothing cached, in flight or queued brings old bytes back there.',
    source: '730633f0b7f9; bde52788bdb7', judges: judge('I24'),
  },
  {
    id: 'I29', family: 'calls', short: 'EINTR only if nothing was written', forced: true,
    sentence: 'EINTR or ERESTARTSYS only if nothing was written.',
    source: 'signal(7); netfs_perform_write (fs/netfs/buffered_write.c)', judges: judge('I29'),
  },
]
