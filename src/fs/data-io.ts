/** Reading the data of files from the device: into a folio, or into any memory. */
import { Bio, submitAndWait } from '../block/bio.ts'
import { type Kernel, raise } from '../kernel/kernel.ts'
import { PageVec, type Segment } from '../kernel/page-vec.ts'
import type { Folio } from '../pagecache/folio.ts'
import type { FileSystem } from './file-system.ts'
import { streamed } from './streaming.ts'
import type { Verbs } from './verbs.ts'

/** Read `n` bytes at block `pblk` of the device into the folio at `off` and wait; bytes that were streamed stay. Raises EIO. */
export function* readBlocks(k: Verbs, fs: FileSystem, f: Folio, off: number, n: number, pblk: number): Kernel<void, 'EIO'> {
  const kept = streamed(f, off, n)
  yield* readData(k, fs, { bytes: f.slab.bytes, start: f.base + off, len: n, provenance: 'cache' }, pblk)
  if (kept !== null) kept.copy(f.slab.bytes, f.base + Math.max(off, f.streamFrom))
}

/** Read the data at block `pblk` of the device into memory and wait. Raises EIO. */
export function* readData(k: Verbs, fs: FileSystem, into: Segment, pblk: number): Kernel<void, 'EIO'> {
  k.ledger.dataBios++
  k.ledger.dataBytes += into.len
  if (k.fault('EIO.read')) return yield* raise('EIO', 'EIO.read')
  yield* submitAndWait(fs.device, new Bio('read', pblk * fs.blockSize, new PageVec([into])))
}
