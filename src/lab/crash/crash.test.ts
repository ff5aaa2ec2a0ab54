import { isLeft } from 'fp-ts/lib/Either.js'
import { expect, test } from 'vitest'
import { Bio } from '../../block/bio.ts'
import { MemoryDevice } from '../../block/memory-device.ts'
import { accountBlocks } from '../../fs/formats/accounting.ts'
import type { ExtFormat } from '../../fs/formats/ext-format.ts'
import { run } from '../../kernel/kernel.ts'
import { PageVec } from '../../kernel/page-vec.ts'
import { reserveAllocate } from '../../strategies/reserve-allocate.ts'
import { mount } from '../session.ts'
import { generate } from '../workload/generate.ts'
import { crash, distinctStates, share } from './crash.ts'
import { parseCrash, printCrash } from './counterexample.ts'
import { type Epoch, epochsOf, Medium } from './epochs.ts'
import { inodeOf, mapOf } from './ext.ts'
import { RecordingDevice } from './log.ts'
import { recordWorkload } from './record.ts'
import { decodeState, encodeState, imageOf, judgeState } from './scenario.ts'
import { shrinkCrash } from './shrink.ts'
import { countStates, tearsOf, visit } from './states.ts'

const block = (byte: number): Buffer => Buffer.alloc(4096, byte)

/** Writes by block and byte, `f` for FUA; `flush`. */
const logOf = (...said: readonly (readonly [number, number, 'f'?] | 'flush')[]): { epochs: Epoch[]; device: RecordingDevice } => {
  const device = new RecordingDevice(new MemoryDevice(64 * 4096), 4096)
  for (const s of said) {
    device.submit(s === 'flush' ? new Bio('flush') : new Bio('write', s[0] * 4096, PageVec.of(block(s[1])), s[2] === 'f'))
  }
  return { device, epochs: [...epochsOf(device.log, new Medium(() => block(0)))] }
}

const uncertain = (e: Epoch): string => e.uncertain.map((u) => `${u.nr}:${u.versions.map((v) => v[0]).join('>')}`).join(' ')

test('an epoch ends where a flush makes all durable, or FUA its own blocks', () => {
  const { epochs } = logOf([1, 1], [2, 1], [1, 2], 'flush', [3, 1], [1, 3, 'f'], [3, 2])
  expect(epochs.map(uncertain)).toEqual(['1:0>1>2 2:0>1', '1:2>3 3:0>1', '3:0>1>2'])
})

test('a drive that ignores flushes has one epoch', () => {
  const { device } = logOf([1, 1], 'flush', [1, 2], [2, 1, 'f'])
  const epochs = [...epochsOf(device.log, new Medium(() => block(0)), { flushes: false })]
  expect(epochs.map(uncertain)).toEqual(['1:0>1>2 2:0>1'])
})

test('all combinations are visited once, one block changing at a time', () => {
  const { epochs: [epoch] } = logOf([1, 1], [2, 1], [1, 2], [3, 1], [3, 2], [3, 3])
  const seen = new Set<string>()
  let changes = 0
  const states = visit(epoch!, epoch!.last, { states: 100, seed: 1 }, () => void changes++)
  for (const picks of states) seen.add(picks.join())
  expect([seen.size, countStates(epoch!, epoch!.last), changes]).toEqual([24, 24, 23])
})

test('more than the bound is sampled, with nothing and everything lost among it, and the same for the same seed', () => {
  const { epochs: [epoch] } = logOf(...Array.from({ length: 20 }, (_, i) => [i + 1, 1] as const))
  const once = (): string[] => Array.from(visit(epoch!, epoch!.last, { states: 60, seed: 3 }, () => {}), (p) => p.join(''))
  const states = once()
  expect([states.length, states.includes('1'.repeat(20)), states.includes('0'.repeat(20))]).toEqual([60, true, true])
  expect(once()).toEqual(states)
})

test('a block of two versions has seven tears, which are states of their own', () => {
  const { epochs: [epoch] } = logOf([1, 1], [2, 1])
  expect(tearsOf(epoch!, epoch!.last).length).toBe(14)
  // 2^m + 7 m 2^(m-1) with m = 2; a uniform block may be torn seven ways.
  expect([...visit(epoch!, epoch!.last, { states: 1000, seed: 1, torn: true }, () => {})].length).toBe(4 + 7 * 2 * 2)
})

test('small epochs are exhausted before large ones get their share', () => {
  expect(share([2, 4, Infinity, Infinity], 106, 4096)).toBe(50)
  expect(share([2, 4], 106, 4096)).toBe(4096)
})

const record = (mode: Parameters<typeof recordWorkload>[0]['mode'], files = 2) =>
  recordWorkload({ strategy: reserveAllocate, mode, operations: generate('append', 3, { files, bytes: 60_000 }), size: 16 << 20 })

test.each(['ext2', 'ext4,data=ordered', 'ext4,data=journal'] as const)(
  '%s: our judge reads of a state what a mount of its image reads', (mode) => {
  const recording = record(mode)
  let looked = 0
  for (const { at } of distinctStates(recording, { states: 60, seed: 2 })) {
    if (looked++ % 4 > 0) continue
    const { judge, judged } = judgeState(recording, {}, at)
    const mounted = mount(imageOf(recording, {}, at), { strategy: reserveAllocate })
    if (isLeft(mounted)) throw new Error(mounted.left.message)
    const { fs, posix } = mounted.right
    const account = run(accountBlocks(fs.format as ExtFormat))
    // Where the structure is promised, the walk through the mounted file system and ours agree that it holds.
    if (recording.recover !== null) {
      expect(judged.findings).toEqual([])
      expect(isLeft(account) ? account.left : account.right.problems).toEqual([])
    }
    for (const thing of recording.model!.things.filter((t) => t.kind === 'file')) {
      const found = inodeOf(recording.layout, (nr) => judge.read(nr), thing.ino)
      const fd = posix.open(thing.label, ['O_RDONLY'])
      if (isLeft(fd)) continue
      const bytes = Buffer.alloc(found.size)
      const n = posix.pread(fd.right, bytes, 0)
      const ours = Buffer.alloc(found.size)
      for (const r of mapOf(recording.layout, (nr) => judge.read(nr), found).runs) {
        if (!r.unwritten) for (let i = 0; i < r.n; i++) judge.read(r.pblk + i).copy(ours, (r.lblk + i) * 4096)
      }
      expect(isLeft(n) ? n.left : bytes.equals(ours)).toBe(true)
    }
  }
  expect(looked).toBeGreaterThan(20)
})

test('a shrunk counterexample is written, read back, and shown again', () => {
  const ground = { mode: 'ext4,no-journal', blockSize: 4096, size: 16 << 20, salt: 0, flushes: false, torn: false } as const
  const operations = [...generate('append', 3, { files: 2, bytes: 60_000 })]
  const c = shrinkCrash('I28', { ...ground, operations }, {}, { strategy: reserveAllocate, tries: 100 })!
  expect(c.scenario.operations!.length).toBeLessThan(5)
  const hash = `sha256:${'0'.repeat(64)}`
  const file = {
    ...c, expected: 'x', actual: c.what, strategy: { name: 'reserve-allocate', file: 'x.ts', hash },
    seed: 1, version: '0', node: 'v0', picture: [],
  }
  const back = parseCrash(printCrash(file))
  if (isLeft(back)) throw new Error(back.left)
  const { scenario, tape } = back.right
  const again = recordWorkload({ strategy: reserveAllocate, ...scenario, operations: scenario.operations! })
  const at = decodeState(again, scenario, tape)
  expect(judgeState(again, scenario, at).judged.findings.some((f) => f.claim === 'I28' && !f.declared)).toBe(true)
  expect(encodeState(again, scenario, at).crash!.slice(0, tape.crash!.length)).toEqual(tape.crash)
})

test('torn blocks break nothing where the log has checksums', () => {
  const recording = recordWorkload({
    strategy: reserveAllocate, mode: 'ext4,data=ordered', operations: generate('append', 3, { files: 1, bytes: 20_000 }),
    size: 16 << 20, torn: true,
  })
  const report = crash(recording, { states: 3000, torn: true, sampleOnly: true })
  expect(report.broken.filter((b) => !b.declared)).toEqual([])
  expect(report.states).toBeGreaterThan(300)
})
