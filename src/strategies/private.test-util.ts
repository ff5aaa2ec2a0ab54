/** Stages for the designs that copy into private folios: something happens to the cached one between get and commit. */
import type { AnyStrategy } from '../fs/strategy.ts'
import type { Folio } from '../pagecache/folio.ts'
import { interleave, type Props, scheduled, sourceOf, stage, type Stage, take } from './stage.test-util.ts'

/** Bytes of a page. */
export const PAGE = 4096
/** Write `len` bytes of one letter. */
export const write = (s: Stage, fill: string, len: number, pos = 0) => s.posix.pwriteFrom(s.fd, sourceOf(len, fill), pos)
/** The folio that is cached at a page. */
export const folio = (s: Stage, page = 0): Folio => s.inode.pages!.find(page)!
/** Everything that the cache hands out is in the file: no private folio, no pin, no lock is left. */
export const balanced = (s: Stage): boolean => {
  const all = s.inode.pages!.inRange(0, 1 << 20)
  const cached = s.fs.cachedInodes().flatMap((i) => i.pages?.inRange(0, 1 << 20) ?? [])
  const quiet = (f: Folio) => !f.locked && f.pins === 0 && f.old === null && f.dirty === f.dirtySlot >= 0
  return s.cache.usedPages === cached.reduce((n, f) => n + f.pages, 0) && all.every(quiet)
}
/** Read a page into the cache, and no other. */
export const readPage = (s: Stage, page: number) => take(s.posix.mmapLoad(s.fd, page * PAGE, Buffer.alloc(1)))
/** Throw a folio out of the cache, as truncation does. */
export const remove = (s: Stage, page: number) => s.fs.verbs.removeFolio(folio(s, page))

/** One page of `o` and then some, synced; `len` bytes of `n` at `pos` are written, and `act` is done at a copy step. */
export const during = (
  base: AnyStrategy, [pos, len]: readonly [number, number], act: (s: Stage) => void,
  props: Props & { at?: RegExp; size?: number } = {},
) => {
  const { at = /^copy$/, size = 2 * PAGE, ...rest } = props
  const s = stage(base, { choices: scheduled, ...rest })
  if (size > 0) take(write(s, 'o', size))
  take(s.posix.sync())
  const seen: string[] = []
  const outcome = interleave(s.posix.sys.pwrite(s.fd, sourceOf(len, 'n'), pos), at, () => act(s), 1, seen)
  return { s, outcome, seen }
}
