/**
 * Units: the sizes that everything is measured in.
 *
 * page 4096 B (unit of the page-cache index) · sector 512 B (unit of a device) · block 1, 2 or 4 KiB (unit of a file
 * system) · folio 2^order pages. Positions and lengths in files are bytes, as plain numbers (exact up to 2^53).
 */

/** Bytes in a page. */
export const PAGE = 4096
/** log2 of PAGE. */
export const PAGE_SHIFT = 12
/** Bytes in a sector. */
export const SECTOR = 512
/** The largest folio: 2^9 pages = 2 MiB. */
export const MAX_FOLIO_ORDER = 9

/** Block number on a device, in units of the file system's block size. */
export type BlockNr = number

/** The largest multiple of `unit` that is at most `n`. `unit` need not be a power of two. */
export const roundDown = (n: number, unit: number): number => n - (n % unit)

/** The smallest multiple of `unit` that is at least `n`. */
export const roundUp = (n: number, unit: number): number => {
  const over = n % unit
  return over === 0 ? n : n + unit - over
}

/** How many units of size `unit` the bytes [pos, pos + len) touch. */
export const unitsTouched = (pos: number, len: number, unit: number): number =>
  len === 0 ? 0 : (roundUp(pos + len, unit) - roundDown(pos, unit)) / unit
