/**
 * A clock that ticks when it is asked: every call is one microsecond later. Same calls, same times, hence the same bytes in
 * every inode of every image.
 */

/** 2026-01-01T00:00:00Z in microseconds since the epoch. */
export const EPOCH = 1_767_225_600_000_000

/** A virtual clock in microseconds since the epoch, starting at `start`. */
export const virtualClock = (start = EPOCH): (() => number) => {
  let t = start
  return () => t++
}
