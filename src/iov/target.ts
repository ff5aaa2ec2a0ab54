/**
 * ReadTarget: where the bytes of a read(2) go. Copying out stops at the first page that cannot be written.
 *
 * A target that may be a mapping of a file, even of the one that is read, has `faultInWritable`: a reader whose copy
 * stopped short calls it with no lock held, and tries again unless it returns 0 (EFAULT).
 * Source: filemap_read, mm/filemap.c; fault_in_iov_iter_writeable, lib/iov_iter.c.
 */
import type { Kernel } from '../kernel/kernel.ts'

/** Where bytes are read to. */
export interface ReadTarget {
  /** Bytes. */
  readonly length: number
  /** Copy `n` bytes from `bytes[start]` to offset `at`. @returns bytes copied; fewer at an unwritable page */
  copyOut(bytes: Buffer, start: number, at: number, n: number): number
  /** Optional: bytes from `at` that can be stored to, at most `n`, after bringing pages in; 0 = EFAULT. */
  faultInWritable?(at: number, n: number): Kernel<number>
}

/** A target that is plain memory. */
export const intoBuffer = (buffer: Buffer): ReadTarget => ({
  length: buffer.length,
  copyOut: (bytes, start, at, n) => bytes.copy(buffer, at, start, start + n),
})
