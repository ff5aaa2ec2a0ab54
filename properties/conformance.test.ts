/**
 * Conformance with the running kernel: over 1,000 sequences of operations through our designs and through mounted ext2 and
 * ext4, from the very same images; nothing may differ outside the envelope of docs/fidelity.md. A design that is wrong on
 * purpose must be noticed, or the comparison proves nothing. Where there is no root or no loop device, the arm says so.
 */
import { describe, expect, test } from 'vitest'
import type { AnyStrategy } from '../src/fs/strategy.ts'
import { conformSequence } from '../src/oracle/conform-sequence.ts'
import { Conformance, type Difference } from '../src/oracle/conform.ts'
import { KernelArm, type KernelName } from '../src/oracle/kernel-arm.ts'
import { getBlock } from '../src/strategies/get-block.ts'
import { strategies } from '../src/strategies/index.ts'

/** Kernel, design, block size, sequences. */
const runs: readonly [KernelName, string, number, number][] = [
  ['ext2', 'get-block', 4096, 200],
  ['ext2', 'get-block', 1024, 150],
  ['ext4,nodelalloc', 'get-block', 4096, 150],
  ['ext4', 'reserve-allocate', 4096, 200],
  ['ext4', 'reserve-allocate', 1024, 100],
  ['ext4', 'reserve-copy-allocate', 4096, 100],
  ['ext4', 'invalidate-splice', 4096, 150],
  ['ext2', 'invalidate-then-add', 4096, 100],
  ['ext4', 'delalloc-per-block', 4096, 60],
  ['ext4', 'lock-and-unmap', 4096, 40],
  ['ext4', 'prepare-copy-unwritten', 1024, 40],
  ['ext4,nodelalloc', 'prepare-copy-punch', 4096, 40],
  ['ext2', 'prepare-copy-zero-page', 1024, 40],
]

const runAll = async (
  kernel: KernelName, strategy: AnyStrategy, blockSize: number, count: number,
): Promise<{ n: number; difference: Difference }[]> => {
  const arms = await Conformance.open({ kernel, strategy, blockSize })
  const unexplained: { n: number; difference: Difference }[] = []
  try {
    for (let n = 0; n < count; n++) {
      const ops = conformSequence(2026, n, { length: 20, unwritten: kernel !== 'ext2', fill: n % 5 === 4 })
      const found = await arms.run(ops)
      unexplained.push(...found.filter((d) => d.rule === null).map((difference) => ({ n, difference })))
    }
  } finally {
    await arms.close()
  }
  return unexplained
}

describe('the mounted kernel', () => {
  test('runs add up to 1,000 sequences and more', () => {
    expect(runs.reduce((sum, [, , , count]) => sum + count, 0)).toBeGreaterThanOrEqual(1000)
  })

  test.each(runs)('%s, %s, blocks of %i bytes, %i sequences', async (kernel, name, blockSize, count) => {
    const can = KernelArm.available(kernel)
    if (!can.ok) return expect(can.why).not.toBe('')
    expect(await runAll(kernel, strategies.find((s) => s.name === name)!, blockSize, count)).toEqual([])
  })

  test('a design that gives back a made block unfilled is noticed', async () => {
    const can = KernelArm.available('ext2')
    if (!can.ok) return expect(can.why).not.toBe('')
    const broken: AnyStrategy = {
      ...getBlock,
      *putFolio(k, _w, _m, f) {
        k.unlockFolio(f)
      },
      *end() {},
    }
    expect((await runAll('ext2', broken, 4096, 60)).length).toBeGreaterThan(0)
  })
})
