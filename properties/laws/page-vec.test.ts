/** PageVec against a naive model: the concatenation of its segments. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isStealable, PageVec, type Provenance, type Segment } from '../../src/kernel/page-vec.ts'

const provenance = fc.constantFrom<Provenance>('anonymous', 'gifted', 'cache', 'wire')
const segment: fc.Arbitrary<Segment> = fc
  .tuple(fc.uint8Array({ minLength: 0, maxLength: 12 }), fc.nat(12), fc.nat(12), provenance)
  .map(([bytes, a, b, from]) => {
    const start = Math.min(a, bytes.length)
    return { bytes: Buffer.from(bytes), start, len: Math.min(b, bytes.length - start), provenance: from }
  })

const flat = (vec: readonly Segment[]): Buffer =>
  Buffer.concat(vec.map((s) => s.bytes.subarray(s.start, s.start + s.len)))

/** A view, and the bytes that it should show. */
const view = fc
  .tuple(fc.array(segment, { maxLength: 5 }), fc.nat(60), fc.nat(60))
  .map(([vec, a, b]) => {
    const all = flat(vec)
    const offset = Math.min(a, all.length)
    const length = Math.min(b, all.length - offset)
    return { pages: new PageVec(vec, offset, length), bytes: all.subarray(offset, offset + length) }
  })

const read = (pages: PageVec): Buffer => {
  const out = Buffer.alloc(pages.length)
  pages.copyTo(out)
  return out
}

describe('PageVec', () => {
  test('shows the bytes of its segments', () => {
    fc.assert(
      fc.property(view, ({ pages, bytes }) => {
        expect(read(pages)).toEqual(Buffer.from(bytes))
      }),
    )
  })

  test('a slice of a slice is one slice, on the same segments', () => {
    fc.assert(
      fc.property(view, fc.nat(30), fc.nat(30), fc.nat(30), ({ pages }, a, b, c) => {
        const first = Math.min(a, pages.length)
        const outer = pages.slice(first)
        const second = Math.min(b, outer.length)
        const n = Math.min(c, outer.length - second)
        const twice = outer.slice(second, n)
        expect(twice).toEqual(pages.slice(first + second, n))
        expect(twice.vec).toBe(pages.vec)
      }),
    )
  })

  test('forEach tiles the view: in order, without gap, overlap or empty piece', () => {
    fc.assert(
      fc.property(view, ({ pages, bytes }) => {
        let next = 0
        pages.forEach((memory, start, len, at) => {
          expect(at).toBe(next)
          expect(len).toBeGreaterThan(0)
          expect(memory.subarray(start, start + len)).toEqual(Buffer.from(bytes.subarray(at, at + len)))
          next += len
        })
        expect(next).toBe(pages.length)
      }),
    )
  })

  test('copyFrom changes the view and nothing beside it; copyTo reads it back', () => {
    fc.assert(
      fc.property(view, fc.uint8Array({ maxLength: 40 }), fc.nat(40), ({ pages }, data, from) => {
        const at = Math.min(from, data.length)
        const before = flat(pages.vec)
        const n = pages.copyFrom(Buffer.from(data), at)
        expect(n).toBe(Math.min(pages.length, data.length - at))
        Buffer.from(data).copy(before, pages.offset, at, at + n)
        expect(flat(pages.vec)).toEqual(before)
        expect(read(pages.slice(0, n))).toEqual(Buffer.from(data.subarray(at, at + n)))
      }),
    )
  })

  test('copyTo stops at the shorter end and leaves the rest of the target alone', () => {
    fc.assert(
      fc.property(view, fc.nat(40), fc.nat(40), ({ pages, bytes }, size, from) => {
        const target = Buffer.alloc(size, 0xee)
        const at = Math.min(from, size)
        const n = pages.copyTo(target, at)
        expect(n).toBe(Math.min(bytes.length, size - at))
        const expected = Buffer.alloc(size, 0xee)
        Buffer.from(bytes).copy(expected, at, 0, n)
        expect(target).toEqual(expected)
      }),
    )
  })

  test('a view never reaches outside', () => {
    const pages = PageVec.of(Buffer.alloc(8))
    expect(() => pages.slice(4, 5)).toThrow(RangeError)
    expect(() => pages.slice(-1)).toThrow(RangeError)
    expect(() => pages.slice(2, 4).slice(0, 5)).toThrow(RangeError)
    expect(() => new PageVec(pages.vec, 9)).toThrow(RangeError)
  })

  test('only pages that nobody else can write may be moved', () => {
    const of = (p: Provenance): boolean => isStealable({ bytes: Buffer.alloc(1), start: 0, len: 1, provenance: p })
    expect(['anonymous', 'gifted', 'cache', 'wire'].filter((p) => of(p as Provenance))).toEqual(['gifted', 'wire'])
  })
})
