import fc from 'fast-check'
import { isLeft, left, right } from 'fp-ts/lib/Either.js'
import { expect, test } from 'vitest'
import { type Completion, monoidCompletion } from '../kernel/completion.ts'
import { run } from '../kernel/kernel.ts'
import { PageVec } from '../kernel/page-vec.ts'
import { Bio, submitAndWait } from './bio.ts'
import { MemoryDevice } from './memory-device.ts'

const LEN = 4096
const write = (len = LEN): Bio => new Bio('write', 8192, PageVec.of(Buffer.alloc(len)))

/** All bios below `bio` that have no children, in file order. */
const leaves = (bio: Bio): readonly Bio[] => (bio.children.length === 0 ? [bio] : bio.children.flatMap(leaves))

/** Where to cut, as fractions; a second level cuts each child again. */
const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { maxLength: 5 }).map((c) => c.sort((a, b) => a - b))
const tree = fc.tuple(cuts, cuts)
/** Fate of a leaf: its errno, and how many 256ths of its bytes were done. */
const fate = fc.record({
  errno: fc.constantFrom(null, null, null, 'EIO' as const, 'ENOSPC' as const),
  part: fc.constantFrom(256, 256, 256, 0, 128),
})

/** A parent of 4096 bytes with two levels of children. */
const grow = ([first, second]: readonly [readonly number[], readonly number[]]): Bio => {
  const parent = write()
  for (const child of parent.split(...first.map((c) => c * (LEN / 8)))) {
    child.split(...second.map((c) => (c * child.data.length) / 8))
  }
  return parent
}

test('children tile the parent: same segments, positions in step, nothing twice and nothing left out', () => {
  fc.assert(
    fc.property(tree, (shape) => {
      const parent = grow(shape)
      let at = 0
      for (const leaf of leaves(parent)) {
        expect(leaf.data.vec).toBe(parent.data.vec)
        expect([leaf.pos, leaf.data.offset]).toEqual([parent.pos + at, at])
        at += leaf.data.length
      }
      expect(at).toBe(LEN)
    }),
  )
})

test('in any order of completion: the parent completes last, with the bytes of the prefix and the first errno', () => {
  const order = fc.infiniteStream(fc.nat())
  const fates = fc.array(fate, { minLength: 64, maxLength: 64 })
  fc.assert(
    fc.property(tree, fates, order, (shape, fates, order) => {
      const parent = grow(shape)
      const all = leaves(parent)
      const ends = all.map((leaf, i): Completion => {
        const { errno, part } = fates[i % fates.length]!
        return { bytes: (leaf.data.length * part) / 256, errno }
      })
      const open = all.map((_, i) => i)
      while (open.length > 0) {
        expect(parent.completion).toBeNull()
        const [i] = open.splice(order.next().value! % open.length, 1)
        all[i!]!.complete(ends[i!]!)
      }
      const short = ends.findIndex((c, i) => c.errno !== null || c.bytes < all[i]!.data.length)
      const counted = short < 0 ? ends : ends.slice(0, short + 1)
      expect(parent.completion!.bytes).toBe(counted.reduce((n, c) => n + c.bytes, 0))
      expect(parent.completion!.errno).toBe(ends.find((c) => c.errno !== null)?.errno ?? null)
    }),
  )
})

test('when no child is short without an errno, the sum is the monoid of completions', () => {
  fc.assert(
    fc.property(cuts, fc.array(fate, { minLength: 8, maxLength: 8 }), (cuts, fates) => {
      const parent = write()
      const children = parent.split(...cuts.map((c) => c * 512))
      const ends = children.map(({ data }, i): Completion => {
        const { errno, part } = fates[i]!
        return { bytes: errno === null ? data.length : (data.length * part) / 256, errno }
      })
      children.forEach((c, i) => c.complete(ends[i]!))
      expect(parent.completion).toEqual(ends.reduce(monoidCompletion.concat, monoidCompletion.empty))
    }),
  )
})

test('cancel: what had not completed gets ECANCELED, what had completed stays', () => {
  const states = fc.array(fc.constantFrom('done', 'started', 'waiting'), { minLength: 64, maxLength: 64 })
  fc.assert(
    fc.property(tree, states, (shape, states) => {
      const parent = grow(shape)
      const all = leaves(parent)
      const state = (i: number) => states[i % 64]
      all.forEach((leaf, i) => {
        if (state(i) === 'done') leaf.complete({ bytes: leaf.data.length, errno: null })
        if (state(i) === 'started') leaf.started = true
      })
      const waiting = all.filter((_, i) => state(i) === 'waiting').length
      if (all.every((_, i) => state(i) === 'done')) return
      expect(parent.cancel().cancelled).toBe(waiting)
      all.forEach((leaf, i) => {
        if (state(i) === 'started') {
          expect(leaf.completion).toBeNull()
          leaf.complete({ bytes: leaf.data.length, errno: null })
        }
        expect(leaf.completion!.errno).toBe(state(i) === 'waiting' ? 'ECANCELED' : null)
      })
      expect(parent.completion!.errno).toBe(waiting > 0 ? 'ECANCELED' : null)
    }),
  )
})

test('the parent waits for the part that nobody carved yet', () => {
  const parent = write()
  parent.clone(0, 1024).complete({ bytes: 1024, errno: null })
  expect(parent.completion).toBeNull()
  parent.clone(1024, 3072).complete({ bytes: 3072, errno: null })
  expect(parent.completion).toEqual({ bytes: LEN, errno: null })
})

test('cancelling a bio that was carved in part cancels the gaps', () => {
  const parent = write()
  parent.clone(0, 512).complete({ bytes: 512, errno: null })
  parent.clone(2048, 512)
  expect(parent.cancel()).toEqual({ cancelled: 3, tooLate: 1 })
  expect(parent.completion).toEqual({ bytes: 512, errno: 'ECANCELED' })
})

test('a flush to several devices completes when all of them did', () => {
  const flush = new Bio('flush')
  const [a, b] = [flush.clone(0, 0), flush.clone(0, 0)]
  b.complete({ bytes: 0, errno: null })
  expect(flush.completion).toBeNull()
  a.complete({ bytes: 0, errno: 'EIO' })
  expect(flush.completion).toEqual({ bytes: 0, errno: 'EIO' })
})

test('endIo sees the sum of the children and may replace it, once', () => {
  const parent = write()
  const seen: Completion[] = []
  parent.endIo = (c) => (seen.push(c), { bytes: 0, errno: 'EILSEQ' })
  for (const child of parent.split(512)) child.complete({ bytes: child.data.length, errno: null })
  expect(seen).toEqual([{ bytes: LEN, errno: null }])
  expect(parent.completion).toEqual({ bytes: 0, errno: 'EILSEQ' })
})

test('ten thousand layers do not overflow the stack', () => {
  const top = write()
  let bio = top
  for (let i = 0; i < 10_000; i++) bio = bio.clone(0, LEN)
  bio.complete({ bytes: LEN, errno: null })
  expect(top.completion).toEqual({ bytes: LEN, errno: null })
})

test('bugs of a layer throw: overlap, completing twice, carving too late, bad cuts', () => {
  const parent = write()
  parent.clone(512, 1024)
  for (const [offset, length] of [[0, 513], [1535, 1], [512, 1024], [0, LEN]] as const) {
    expect(() => parent.clone(offset, length)).toThrow('overlaps another child')
  }
  expect(() => parent.clone(LEN, 1)).toThrow('outside a view')
  const twice = write()
  twice.complete({ bytes: 0, errno: null })
  expect(() => twice.complete({ bytes: 0, errno: null })).toThrow('write of 4096 bytes at 8192: completed twice')
  expect(() => twice.clone(0, 512)).toThrow('carved after its transfer began')
  expect(() => write().split(512, 512)).toThrow('cannot be split at 512, 512')
  expect(() => write().split(0)).toThrow('cannot be split at 0')
})

test('submitAndWait: whole => ok; anything less => EIO', () => {
  const device = new MemoryDevice(16384)
  expect(run(submitAndWait(device, write()))).toEqual(right(undefined))
  expect(run(submitAndWait(device, write(16384)))).toEqual(left('EIO'))
  const short = { name: 'short', size: 16384, submit: (bio: Bio) => bio.complete({ bytes: 512, errno: null }) }
  expect(isLeft(run(submitAndWait(short, write())))).toBe(true)
})
