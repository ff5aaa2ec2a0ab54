/**
 * Writeback: dirty folios become bios; delayed extents become blocks; completions become i_disksize.
 *
 * Phases, for the dirty folios of a range in order: lock -> wait for older writeback -> write-protect PTEs -> place blocks
 * under delayed extents (a whole extent at once) -> set writeback, clear dirty, unlock -> hold room for split extents -> bios
 * over runs that are contiguous in the file and on the device, at most 1 MiB each -> wait for all -> convert unwritten, move
 * disk size, end writeback.
 *
 * Rules: (1) nothing past i_size is written; the tail of the last block is zeroed first. (2) disk size moves only after the
 * data below it is on the device (ordered; bugs Z28, Z29). (3) An error is recorded in the address space and the folio stays
 * uptodate (Z36), and is reported once to every open file (I25). After a failed I/O the data is clean, as ext4 leaves it; what
 * found no blocks stays dirty with its reservation, and the next writeback tries again. (4) A pass refers to the folios that it
 * found until it has their locks: one that leaves the cache meanwhile keeps its memory so long (a folio batch).
 * Writeback belongs to the file system, not to a strategy: two designs may write one inode.
 * Under a journal one handle covers the placing of a pass, taken before the first folio is locked, and a reserved one each
 * completion; `writeWrittenBack` is what a commit needs: it changes no map, so it joins no transaction.
 * Sources: iomap_writepages (fs/iomap/buffered-io.c), mpage_map_and_submit_extent (fs/ext4/inode.c).
 */
import { Bio, TUPLE } from '../block/bio.ts'
import { protect } from '../block/t10.ts'
import type { Errno } from '../kernel/errno.ts'
import { attempt, Failure, type Kernel } from '../kernel/kernel.ts'
import { PageVec, type Segment } from '../kernel/page-vec.ts'
import { PAGE, roundUp, SECTOR } from '../kernel/units.ts'
import { BLOCK_MAPPED, BLOCK_PLACE, DIRTY, type Folio, type Slab, UPTODATE } from '../pagecache/folio.ts'
import { DELALLOC, type Extent, HOLE, MAPPED } from './extent-map.ts'
import type { FileSystem } from './file-system.ts'
import type { Inode } from './inode.ts'
import { CALL_CREDITS, ENOSPC_RETRIES, freeAfterCommit, transactReserved } from './journal/handle.ts'
import { fillFolio } from './read.ts'
import { holdSplits, releaseSplits, type SplitRoom } from './splits.ts'
import type { Verbs } from './verbs.ts'

/** Most bytes of a data bio. */
const BIO_BYTES = 1 << 20
/** Most folios under writeback by one pass, so that memory for bios is bounded. */
const PASS_FOLIOS = 1024

/** A run on its way: bytes of the file, bytes of the device, and the memory between them. */
export interface Io {
  readonly pos: number
  readonly devicePos: number
  /** The size of the file when its bytes were taken: what lies past it are zeros, whatever the size is by the end. */
  eof: number
  len: number
  readonly vec: Segment[]
  /** The slab of each segment. */
  readonly slabs: Slab[]
  bio: Bio | null
}

/** Write back the dirty folios of [from, to) bytes and wait. Errors go to the address space. @returns the first errno */
export function* writeBack(k: Verbs, fs: FileSystem, inode: Inode, from: number, to: number): Kernel<Errno | null> {
  const pages = inode.pages!
  let first: Errno | null = null
  let retries = 0
  let index = Math.floor(from / PAGE)
  const last = Math.ceil(to / PAGE) - 1
  while (pages.dirty.length > 0 && index <= last) {
    const todo = passOf(fs, pages.dirtyInRange(index, last))
    if (todo.length === 0) break
    const at = todo.at(-1)!.index
    k.referAll(todo)
    const errno = yield* writePass(k, fs, inode, todo, false)
    if (errno === 'ENOSPC' && retries < ENOSPC_RETRIES && (yield* freeAfterCommit(fs))) {
      retries++
      continue
    }
    if (errno !== null) pages.errors.set(errno)
    first ??= errno
    index = Math.max(index, at) + 1
  }
  return first
}

/** As many folios as one pass may have under writeback; where data is logged, as many as one transaction may hold. */
const passOf = (fs: FileSystem, dirty: readonly Folio[]): readonly Folio[] => {
  if (fs.journal?.mode !== 'journal') return dirty.slice(0, PASS_FOLIOS)
  let bytes = fs.journal.dataBlocks * fs.blockSize
  let n = 0
  while (n < dirty.length && (n === 0 || dirty[n]!.size <= bytes)) bytes -= dirty[n++]!.size
  return dirty.slice(0, n)
}

/**
 * Write back what is dirty over written blocks, and wait for that and for whatever is under way. No block is placed or
 * converted. Errors go to the address space. @returns the first errno
 */
export function* writeWrittenBack(k: Verbs, fs: FileSystem, inode: Inode): Kernel<Errno | null> {
  const pages = inode.pages!
  let first: Errno | null = null
  const dirty = pages.dirtyInRange(0, Number.MAX_SAFE_INTEGER)
  k.referAll(dirty)
  for (let i = 0; i < dirty.length; i += PASS_FOLIOS) {
    const errno = yield* writePass(k, fs, inode, dirty.slice(i, i + PASS_FOLIOS), true)
    if (errno !== null) pages.errors.set(errno)
    first ??= errno
  }
  for (const f of pages.inRange(0, Number.MAX_SAFE_INTEGER)) while (f.writeback) yield f.writebackOp
  return first
}

/** Wait for what somebody else's pass has taken of [from, to) bytes and has on its way (filemap_fdatawait_range). */
export function* waitForWriteback(k: Verbs, inode: Inode, from: number, to: number): Kernel<void> {
  // On the straight run nobody else is under way.
  if (k.plain) return
  const last = Math.min(Math.ceil(to / PAGE) - 1, Number.MAX_SAFE_INTEGER)
  for (const f of inode.pages!.inRange(Math.floor(from / PAGE), last)) while (f.writeback) yield f.writebackOp
}

/** Write back whatever is dirty, inode by inode, until at most `target` pages are. */
export function* writeSomeBack(k: Verbs, fs: FileSystem, target: number): Kernel<void> {
  for (const inode of fs.cachedInodes()) {
    if (k.cache.dirtyPages <= target) return
    if (inode.pages !== null && inode.pages.dirty.length > 0) yield* writeBack(k, fs, inode, 0, Infinity)
  }
}

/**
 * Write back these folios and wait; with `writtenOnly` only what lies over written blocks. The caller refers to each of them, and
 * the pass lets go of them one by one. @returns the first errno
 */
function* writePass(
  k: Verbs, fs: FileSystem, inode: Inode, todo: readonly Folio[], writtenOnly: boolean,
): Kernel<Errno | null> {
  const ios: Io[] = []
  const started: Folio[] = []
  const journal = writtenOnly ? null : fs.journal
  const credits = journal === null ? 0 : passCredits(fs, todo)
  if (journal !== null && (yield* attempt(() => journal.start(credits)))._tag === 'Left') {
    for (const f of todo) k.unrefer(f)
    return 'EIO'
  }
  let failed: Errno | null = null
  for (const noted of todo) {
    const f = yield* lockDirty(k, inode, noted, started)
    if (f === null) continue
    k.writeProtect(f)
    const errno = yield* startFolio(k, fs, inode, f, ios, writtenOnly)
    failed ??= errno
    f.writeback = true
    started.push(f)
    k.unlockFolio(f)
  }
  const firsts = fs.format.hasUnwritten && !writtenOnly ? ios.map(firstBlock(fs)) : []
  const held = yield* holdSplits(k, fs, inode, firsts, foreign(k, fs, inode, started))
  for (const io of ios) submit(k, fs, io)
  journal?.stop(credits)
  for (const io of ios) failed = (yield* finishIo(k, fs, inode, io, writtenOnly, held)) ?? failed
  releaseSplits(fs, inode, held)
  for (const f of started) f.writeback = false
  for (const f of started) k.dropIfBehind(f, failed !== null)
  return failed
}

/**
 * Lock what was dirty when the pass began. Another folio may have taken its place and its data: then that one is meant, for fsync
 * must not pass by what an earlier write was acknowledged for. `started`: what this pass has under writeback already.
 * @returns null if there is nothing to write any more
 */
function* lockDirty(k: Verbs, inode: Inode, noted: Folio, started: readonly Folio[]): Kernel<Folio | null> {
  const pages = inode.pages!
  const { index } = noted
  let [f, generation] = [noted, noted.generation]
  yield* k.lockFolio(f)
  k.unreferLocked(f)
  for (;;) {
    while (f.writeback) yield f.writebackOp
    if (f.home === pages && f.generation === generation && f.dirty) return f
    const gone = f.home !== pages || f.generation !== generation
    k.unlockFolio(f)
    const now = gone ? k.peekFolio(pages, index) : null
    if (now === null || !now.dirty || started.includes(now)) return null
    ;[f, generation] = [now, now.generation]
    yield* k.lockFolio(f)
  }
}

/** Blocks that placing these folios may change: bitmaps and map blocks, and their data where it is logged. */
const passCredits = (fs: FileSystem, todo: readonly Folio[]): number => {
  let pages = 0
  if (fs.journal!.mode === 'journal') for (const f of todo) pages += f.pages
  return CALL_CREDITS + Math.ceil((pages * PAGE) / fs.blockSize)
}

/** The first block of a run in the file. */
export const firstBlock = (fs: FileSystem) => (io: Io): number => io.pos / fs.blockSize

/** Is a block under writeback that this pass did not start? */
export const foreign = (k: Verbs, fs: FileSystem, inode: Inode, started: readonly Folio[]) => (lblk: number): boolean => {
  const f = k.peekFolio(inode.pages!, Math.floor((lblk * fs.blockSize) / PAGE))
  return f !== null && f.writeback && !started.includes(f)
}

/**
 * Place the blocks of a locked folio and add its dirty runs in bytes [from, end) to `ios`; those are clean then. What found no
 * place stays dirty, and keeps what is reserved for it. `size`: where the file ends. @returns the errno that kept a part from it
 */
export function* startFolio(
  k: Verbs, fs: FileSystem, inode: Inode, f: Folio, ios: Io[], writtenOnly: boolean,
  size = k.size(inode), from = 0, end = f.size,
): Kernel<Errno | null> {
  const block = fs.blockSize
  if (size < f.pos + f.size) f.zero(Math.max(0, size - f.pos), f.pos + f.size - Math.max(size, f.pos))
  const upto = Math.min(end, size - f.pos)
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  let failed: Errno | null = null
  if (f.streamTo >= 0) failed = yield* fillStreamed(k, fs, inode, f)
  for (let off = from; off < upto; ) {
    // What was streamed and could not be completed stays dirty.
    if ((f.bits(off) & DIRTY) === 0 || (f.bits(off) & UPTODATE) === 0) {
      off += block
      continue
    }
    let to = off + block
    while (to < upto && f.all(to, 1, DIRTY | UPTODATE)) to += block
    const lblk = (f.pos + off) / block
    yield* k.acquire(inode.mapLock)
    try {
      fs.lookupInto(k, inode, lblk, (to - off) / block, e)
      if (writtenOnly && e.state !== MAPPED) {
        off += e.n * block
        continue
      }
      if (e.state === DELALLOC) yield* realiseExtent(k, fs, inode, lblk) as Kernel<void>
      else if (e.state === HOLE) yield* fs.allocate(k, inode, null, lblk, e.n, MAPPED) as Kernel<number>
      if (e.state === DELALLOC || e.state === HOLE) fs.lookupInto(k, inode, lblk, (to - off) / block, e)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      failed ??= error.errno
      off += e.n * block
      continue
    } finally {
      k.release(inode.mapLock)
    }
    addRun(ios, f, off, e.n * block, e.pblk * block, size)
    f.change(off, e.n * block, BLOCK_MAPPED, BLOCK_PLACE)
    k.cleanBlocks(f, off, e.n * block)
    off += e.n * block
  }
  const past = Math.max(0, roundUp(upto, block))
  if (past < f.size && end === f.size) k.cleanBlocks(f, past, f.size - past)
  return failed
}

/** Read what is missing in blocks that were streamed. @returns the errno that kept one from it */
function* fillStreamed(k: Verbs, fs: FileSystem, inode: Inode, f: Folio): Kernel<Errno | null> {
  const { streamFrom: from, streamTo: to } = f
  const filled = yield* attempt(() => fillFolio(k, fs, inode, f, from, Math.max(1, to - from)))
  return filled._tag === 'Left' ? filled.left : null
}

/**
 * Make the delayed extent from `lblk` on real: as long a run as the allocator gives, often the whole extent. A format without
 * unwritten extents shows what is real as written: there, only as far as dirty data lies over it.
 */
function* realiseExtent(k: Verbs, fs: FileSystem, inode: Inode, lblk: number): Kernel<void, 'ENOSPC' | 'EIO'> {
  const e = fs.lookupInto(k, inode, lblk, 2 ** 31, { lblk: 0, n: 0, state: HOLE, pblk: 0 })
  yield* fs.realise(k, inode, lblk, fs.format.hasUnwritten ? e.n : dirtyRun(k, fs, inode, lblk, e.n))
}

/** How many blocks from `lblk` on, at most `n`, have dirty data over them in the cache; the first one has. */
const dirtyRun = (k: Verbs, fs: FileSystem, inode: Inode, lblk: number, n: number): number => {
  for (let i = 1; i < n;) {
    const pos = (lblk + i) * fs.blockSize
    const f = k.peekFolio(inode.pages!, Math.floor(pos / PAGE))
    if (f === null || (f.bits(pos - f.pos) & DIRTY) === 0) return i
    i += f.dirtyBlocks === f.blocks ? (f.pos + f.size - pos) / fs.blockSize : 1
    if (i >= n) return n
  }
  return n
}

/** Add bytes to the last run if they continue it in the file and on the device, else start a new one. */
const addRun = (ios: Io[], f: Folio, off: number, len: number, devicePos: number, eof: number): void => {
  for (let done = 0; done < len; ) {
    const last = ios.at(-1)
    const joins =
      last !== undefined && last.len < BIO_BYTES && last.pos + last.len === f.pos + off + done &&
      last.devicePos + last.len === devicePos + done
    const n = Math.min(len - done, joins ? BIO_BYTES - last.len : BIO_BYTES)
    const segment: Segment = { bytes: f.slab.bytes, start: f.base + off + done, len: n, provenance: 'cache' }
    if (joins) {
      last.len += n
      last.vec.push(segment)
      last.slabs.push(f.slab)
      last.eof = Math.max(last.eof, eof)
    } else {
      ios.push({ pos: f.pos + off + done, devicePos: devicePos + done, len: n, vec: [segment], slabs: [f.slab], bio: null, eof })
    }
    done += n
  }
}

/** Give a run to the device; `site` may fail it. */
export const submit = (k: Verbs, fs: FileSystem, io: Io, site: `EIO.${string}` = 'EIO.write'): void => {
  io.bio = new Bio('write', io.devicePos, new PageVec(io.vec))
  k.ledger.dataBios++
  k.ledger.dataBytes += io.len
  if (fs.protection) protectRun(io)
  if (k.fault(site)) io.bio.complete({ bytes: 0, errno: 'EIO' })
  else fs.device.submit(io.bio)
}

/** Tuples of a run: guards taken at copy-in where there are any, of the bytes as they are now elsewhere. */
const protectRun = (io: Io): void => {
  protect(io.bio!)
  const tuples = io.bio!.protection!
  let sector = 0
  io.vec.forEach((segment, i) => {
    for (let at = segment.start; at < segment.start + segment.len; at += SECTOR, sector++) {
      const guard = io.slabs[i]!.guards?.at(at) ?? null
      if (guard !== null) tuples.writeUInt16BE(guard, sector * TUPLE)
    }
  })
}

/** Wait for a run; what it wrote becomes written, and the size on disk may follow. @returns its errno */
export function* finishIo(
  k: Verbs, fs: FileSystem, inode: Inode, io: Io, writtenOnly: boolean, room: SplitRoom | null,
): Kernel<Errno | null> {
  const bio = io.bio!
  if (bio.completion === null) yield bio.done
  const { bytes, errno } = bio.completion!
  const blocks = Math.floor(bytes / fs.blockSize)
  if (blocks > 0 && writtenOnly) moveDiskSize(k, fs, inode, io, blocks)
  else if (blocks > 0) yield* transactReserved(fs, () => convertIo(k, fs, inode, io, blocks, room))
  return errno
}

/** The first blocks of a run are on the device: they are written, and the size on disk may follow. */
function* convertIo(
  k: Verbs, fs: FileSystem, inode: Inode, io: Io, blocks: number, room: SplitRoom | null,
): Kernel<void> {
  yield* k.acquire(inode.mapLock)
  fs.convert(k, inode, io.pos / fs.blockSize, blocks, room)
  yield* fs.trimMap(k, inode)
  k.release(inode.mapLock)
  moveDiskSize(k, fs, inode, io, blocks)
}

const moveDiskSize = (k: Verbs, fs: FileSystem, inode: Inode, io: Io, blocks: number): void => {
  const end = Math.min(io.pos + blocks * fs.blockSize, k.size(inode))
  if (end <= inode.diskSize) return
  // A write that moved the size meanwhile has its bytes on no disk yet (51d20d1dacbe).
  inode.diskSize = Math.max(inode.diskSize, Math.min(end, io.eof))
  inode.dirty = true
}
