/** ReadTarget: where the bytes of a read(2) go. Copying out stops at the first page that cannot be written. */
export interface ReadTarget {
  /** Bytes. */
  readonly length: number
  /** Copy `n` bytes from `bytes[start]` to offset `at` of the target. @returns bytes copied; fewer at an unwritable page */
  copyOut(bytes: Buffer, start: number, at: number, n: number): number
}

/** A target that is plain memory. */
export const intoBuffer = (buffer: Buffer): ReadTarget => ({
  length: buffer.length,
  copyOut: (bytes, start, at, n) => bytes.copy(buffer, at, start, start + n),
})
