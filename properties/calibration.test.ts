/**
 * Calibration: where a design of ours models a driver, its counts are the kernel's.
 *
 * Two sources: counts taken once on Linux 6.18.44 (calibration/linux-6.18.json), and, where this machine has root and tracefs,
 * counts taken now at sizes that the file does not contain. Tolerance: 5 %, or 8 events in the whole loop of 16 MiB: the kernel's
 * page-cache events also count the metadata that a block device caches, and its first fsync splits a delayed extent once.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { AnyStrategy } from '../src/fs/strategy.ts'
import { type Loop, ROWS, runLoop } from '../src/lab/calibration.ts'
import { canMeasure, type KernelName, measureKernel } from '../src/oracle/kernel-arm.ts'
import { delallocPerBlock } from '../src/strategies/delalloc-per-block.ts'
import { getBlock } from '../src/strategies/get-block.ts'
import { reserveAllocate } from '../src/strategies/reserve-allocate.ts'

const TOTAL_MIB = 16
const TOTAL = TOTAL_MIB << 20
const stored = (
  JSON.parse(readFileSync(new URL('./calibration/linux-6.18.json', import.meta.url), 'utf8')) as { events: Record<string, number> }
).events

interface Driver {
  readonly name: string
  readonly kernel: KernelName
  readonly format: 'ext2' | 'ext4'
  readonly blockSize: number
  readonly strategy: AnyStrategy
  /**
   * Which rows are compared. Not for 1 KiB blocks: folios, as four times the metadata folios are counted with them. Not for
   * xfs: folios added, as preallocation at the end cuts them. iomap_iter fires twice an iteration.
   */
  readonly rows: readonly string[]
  readonly iterFactor: number
}

const FOLIOS = ['begin', 'folio+', 'alloc', 'fdirty']
const drivers: readonly Driver[] = [
  { name: 'ext2', kernel: 'ext2', format: 'ext2', blockSize: 4096, strategy: getBlock, rows: FOLIOS, iterFactor: 1 },
  { name: 'ext2-1k', kernel: 'ext2', format: 'ext2', blockSize: 1024, strategy: getBlock, rows: ['begin', 'alloc'], iterFactor: 1 },
  {
    name: 'ext4-nodelalloc', kernel: 'ext4,nodelalloc', format: 'ext4', blockSize: 4096, strategy: getBlock, rows: FOLIOS,
    iterFactor: 1,
  },
  {
    name: 'ext4', kernel: 'ext4', format: 'ext4', blockSize: 4096, strategy: reserveAllocate,
    rows: ['begin', 'folio+', 'fdirty', 'f:alloc'], iterFactor: 1,
  },
  {
    name: 'ext4', kernel: 'ext4', format: 'ext4', blockSize: 4096, strategy: delallocPerBlock,
    rows: ['begin', 'folio+', 'fdirty', 'f:alloc'], iterFactor: 1,
  },
  {
    name: 'xfs', kernel: 'xfs', format: 'ext4', blockSize: 4096, strategy: reserveAllocate, rows: ['begin', 'f:alloc'],
    iterFactor: 2,
  },
]

const close = (row: string, ours: number, kernel: number): void => {
  const off = Math.abs(ours - kernel)
  expect(off <= 0.05 * kernel || off <= 8, `${row}: ours ${ours}, kernel ${kernel} in ${TOTAL_MIB} MiB`).toBe(true)
}

/** Compare one loop with the kernel's counts per MiB. @returns how many counters were compared */
const compare = (d: Driver, workload: Loop['workload'], size: number, perMib: (key: string) => number | undefined): number => {
  const { write, fsync } = runLoop({ ...d, workload, size, totalBytes: TOTAL })
  let compared = 0
  for (const row of ROWS.filter((r) => d.rows.includes(r.key))) {
    const kernel = perMib(row.key)
    const ours = row.ours(write, fsync)
    close(`${d.name} ${workload} ${size} ${row.key}`, ours * (row.key === 'begin' ? d.iterFactor : 1), (kernel ?? 0) * TOTAL_MIB)
    compared++
  }
  return compared
}

describe('counts stored from Linux 6.18.44', () => {
  for (const d of drivers) {
    test(`${d.name}: ${d.strategy.name}`, () => {
      let compared = 0
      for (const [workload, short] of [['append', 'append'], ['overwrite', 'over']] as const) {
        for (const [size, label] of [[4096, '4k'], [65536, '64k'], [1 << 20, '1m']] as const) {
          compared += compare(d, workload, size, (key) => stored[`${d.name}|${short}-${label}|${key}`])
        }
      }
      expect(compared).toBe(6 * d.rows.length)
    })
  }
})

describe('counts taken now, at other sizes', () => {
  for (const d of drivers.filter((x) => x.name !== 'xfs')) {
    test(`${d.name}: ${d.strategy.name}`, async () => {
      const can = canMeasure(d.kernel)
      if (!can.ok) return expect(can.why).not.toBe('')
      for (const size of [8192, 49152, 307200]) {
        const totalBytes = TOTAL - (TOTAL % size)
        const measured = await measureKernel({ fs: d.kernel, workload: 'append', size, totalBytes, blockSize: d.blockSize })
        const scale = totalBytes / TOTAL
        compare(d, 'append', size, (key) => (measured.perMib[key] ?? 0) * scale)
      }
    })
  }
})
