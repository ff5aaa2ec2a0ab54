/**
 * Compare: what a judge found against what was expected, as lines.
 *
 * A judge hands over *found* entries with a way to read bytes at a position, so that a file of a terabyte with three
 * blocks is compared at these three blocks.
 */
import type { ExpectedEntry, ExpectedTree, Sparse } from './judge.ts'

/** What a judge found under a path. */
export interface FoundEntry {
  readonly path: string
  readonly type: 'file' | 'directory' | 'symlink' | 'other'
  readonly size: number
  /** Permission bits, 0o7777. */
  readonly mode: number
  readonly nlink: number
  readonly target?: string
  /** Up to `len` bytes at `pos`; fewer at the end of the file. */
  readonly read?: (pos: number, len: number) => Buffer
}

/** Bytes up to which a file is compared whole; of a larger one its described segments and their surroundings. */
export const COMPARE_WHOLE = 64 * 1024 * 1024
/** Bytes before and after a segment of a large file that must be zeros. */
const SURROUNDINGS = 4096
/** Bytes compared at a time. */
const CHUNK = 4 * 1024 * 1024

const segmentsOf = (entry: ExpectedEntry): readonly Sparse[] | undefined => {
  const contents = entry.contents?.()
  if (contents === undefined) return undefined
  return Buffer.isBuffer(contents) ? [{ pos: 0, bytes: contents }] : contents
}

/** The bytes [pos, pos + len) that `segments` describe, zeros between them. */
export const materialise = (segments: readonly Sparse[], pos: number, len: number): Buffer => {
  const bytes = Buffer.alloc(len)
  for (const segment of segments) {
    const from = Math.max(pos, segment.pos)
    const to = Math.min(pos + len, segment.pos + segment.bytes.length)
    if (from < to) segment.bytes.copy(bytes, from - pos, from - segment.pos, to - segment.pos)
  }
  return bytes
}

// The first index at which a and b differ, b being the shorter or equal.
const firstDifference = (a: Buffer, b: Buffer): number => {
  let [low, high] = [0, Math.min(a.length, b.length)]
  while (low < high) {
    const middle = (low + high) >> 1
    if (a.compare(b, low, middle + 1, low, middle + 1) === 0) low = middle + 1
    else high = middle
  }
  return low
}

const hex = (byte: number | undefined): string =>
  byte === undefined ? 'nothing' : `0x${byte.toString(16).padStart(2, '0')}`

type Windows = { readonly pos: number, readonly len: number }[]

// Whole, in chunks; or around the segments of a large file.
const windows = (size: number, segments: readonly Sparse[]): Windows => {
  if (size <= COMPARE_WHOLE) {
    const chunk = (i: number) => ({ pos: i * CHUNK, len: Math.min(CHUNK, size - i * CHUNK) })
    return Array.from({ length: Math.ceil(size / CHUNK) }, (_, i) => chunk(i))
  }
  return segments.map(({ pos, bytes }) => {
    const from = Math.max(0, pos - SURROUNDINGS)
    return { pos: from, len: Math.min(size, pos + bytes.length + SURROUNDINGS) - from }
  })
}

const compareBytes = (expected: ExpectedEntry, found: FoundEntry): string[] => {
  const segments = segmentsOf(expected)
  const { read } = found
  if (segments === undefined || read === undefined) return []
  for (const { pos, len } of windows(expected.size, segments)) {
    const [want, got] = [materialise(segments, pos, len), read(pos, len)]
    if (want.equals(got)) continue
    const at = firstDifference(want, got)
    return [`${expected.path}: byte ${pos + at} is ${hex(got[at])}, expected ${hex(want[at])}`]
  }
  return []
}

const octal = (mode: number | undefined): string | undefined =>
  mode === undefined ? undefined : `0${(mode & 0o7777).toString(8)}`

const compareEntry = (expected: ExpectedEntry, found: FoundEntry): string[] => {
  const say = (what: string, got: unknown, want: unknown): string[] =>
    want === undefined || got === want ? [] : [`${expected.path}: ${what} is ${got}, expected ${want}`]
  const type = say('type', found.type, expected.type)
  if (type.length > 0) return type
  const size = expected.type === 'file' ? say('size', found.size, expected.size) : []
  return [
    ...size,
    ...say('mode', octal(found.mode), octal(expected.mode)),
    ...say('link count', found.nlink, expected.nlink),
    ...say('target', found.target, expected.target),
    ...size.length === 0 ? compareBytes(expected, found) : [],
  ]
}

/** What is wrong with `found`, given what is expected; `lost+found` may be there. */
export const compareTrees = (expected: ExpectedTree, found: Iterable<FoundEntry>): string[] => {
  const there = new Map<string, FoundEntry>()
  for (const entry of found) there.set(entry.path, entry)
  const lines: string[] = []
  for (const entry of expected) {
    const got = there.get(entry.path)
    there.delete(entry.path)
    if (got === undefined) lines.push(`${entry.path}: is missing`)
    else lines.push(...compareEntry(entry, got))
  }
  for (const path of there.keys()) {
    if (path !== 'lost+found' && !path.startsWith('lost+found/')) lines.push(`${path}: is there, and was not expected`)
  }
  return lines
}

/** Files whose holes were not read, since they are larger than `COMPARE_WHOLE`. */
export const notWhole = (expected: ExpectedTree): string[] =>
  [...expected].filter(entry => entry.type === 'file' && entry.size > COMPARE_WHOLE)
    .map(entry => `${entry.path}: ${entry.size} bytes, compared around its data only`)
