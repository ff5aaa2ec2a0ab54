/**
 * npm run bench: our write path against plain memory copy, memfs and ZenFS on the same work, in one run.
 *
 * All contenders of a work take turns in every round; a ratio is formed within its round, so that a machine whose speed
 * drifts does not matter; the figure is the median of the rounds with its 95 % interval. Bytes are verified after each work,
 * the ledger is on, and the code is the very pipeline that the properties check. 1.00 = as fast as the reference.
 * Wall time in JavaScript says nothing of a kernel: this is hygiene. Options: --rounds N, --quick, --json FILE.
 */
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { ImageDevice } from '../src/block/image-device.ts'
import { make, mount } from '../src/lab/session.ts'
import { strategies } from '../src/strategies/index.ts'
import { reserveAllocate } from '../src/strategies/reserve-allocate.ts'
import { type Contender, memfs, memoryCopy, must, ours, zen } from './contenders.ts'
import { type Estimate, estimate, show } from '../src/lab/statistics.ts'

const MIB = 1 << 20
const FILE = 64 * MIB
const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '15' }, quick: { type: 'boolean' }, json: { type: 'string' } },
})
const rounds = options.quick === true ? 5 : Number(options.rounds)
const source = Buffer.from(Array.from({ length: 2 * MIB }, (_, i) => (Math.imul(i, 0x9e3779b1) >>> 13) & 0xff))

/** A work: the positions to be written, each with `size` bytes; `fresh` = into a new file. */
interface Work {
  readonly name: string
  readonly size: number
  readonly positions: readonly number[]
  readonly fresh: boolean
}

const sequence = (size: number, n: number): number[] => Array.from({ length: n }, (_, i) => i * size)
const scattered = (n: number, shift: number): number[] => {
  let x = 12345
  return Array.from({ length: n }, () => {
    x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff
    return (x % (FILE / 4096 - 1)) * 4096 + shift
  })
}
const works: readonly Work[] = [
  { name: 'overwrite 4 KiB', size: 4096, positions: sequence(4096, FILE / 4096), fresh: false },
  { name: 'overwrite 64 KiB', size: 65536, positions: sequence(65536, FILE / 65536), fresh: false },
  { name: 'overwrite 1 MiB', size: MIB, positions: sequence(MIB, 64), fresh: false },
  { name: 'random 4 KiB', size: 4096, positions: scattered(16384, 0), fresh: false },
  { name: 'random 4 KiB + 100 B', size: 4096, positions: scattered(16384, 100), fresh: false },
  { name: 'append 4 KiB', size: 4096, positions: sequence(4096, 8192), fresh: true },
  { name: 'append 1 MiB', size: MIB, positions: sequence(MIB, 64), fresh: true },
]

const time = (task: () => void): number => {
  const start = process.hrtime.bigint()
  task()
  return Number(process.hrtime.bigint() - start)
}

const doWork = (c: Contender, w: Work): void => {
  for (let i = 0; i < w.positions.length; i++) c.write(source, (i * 64) & (MIB - 1), w.size, w.positions[i]!)
}

/** What the file must hold after the work. */
const expected = (w: Work): Buffer => {
  const bytes = Buffer.alloc(Math.max(...w.positions) + w.size)
  if (!w.fresh) for (let at = 0; at < bytes.length; at += MIB) source.copy(bytes, at, 0, MIB)
  w.positions.forEach((pos, i) => source.copy(bytes, pos, (i * 64) & (MIB - 1), ((i * 64) & (MIB - 1)) + w.size))
  return bytes
}

/** Time all contenders on one work, round by round. @returns nanoseconds, a row a contender */
const race = (contenders: readonly Contender[], w: Work): number[][] => {
  const times: number[][] = contenders.map(() => [])
  for (const c of contenders) {
    c.create('/bench')
    if (!w.fresh) for (let at = 0; at < FILE; at += MIB) c.write(source, 0, MIB, at)
  }
  for (let round = -2; round < rounds; round++) {
    contenders.forEach((c, i) => {
      if (w.fresh) {
        c.remove('/bench')
        c.create('/bench')
      }
      const t = time(() => doWork(c, w))
      if (round >= 0) times[i]!.push(t)
    })
  }
  const want = expected(w)
  for (const c of contenders) {
    if (Buffer.compare(c.read(want.length), want) !== 0) throw new Error(`${c.name}: wrong bytes after ${w.name}`)
    c.remove('/bench')
  }
  return times
}

const ratios = (reference: readonly number[], mine: readonly number[]): Estimate =>
  estimate(reference.map((t, i) => t / mine[i]!))

const report: Record<string, Record<string, Estimate>> = {}
// Before the contenders exist: half a gigabyte of live page cache would make this a test of the garbage collector.
report['10,000 files of 4 KiB'] = smallFiles()
report['first writeback, 64 MiB'] = firstWriteback()
console.log(`10,000 files of 4 KiB, create + write: ${show(report['10,000 files of 4 KiB'].memfs!)} x memfs`)
console.log(`first writeback of 64 MiB to an image file: ${show(report['first writeback, 64 MiB'].writeSync!)} x writeSync`)

const designs = strategies.map((s) => ours(s, 512 * MIB, s.copy === 'faulting' ? 0 : 9))
const contenders = [memoryCopy(FILE + MIB), memfs(), await zen(), ...designs]
const plain = { style: { head: [], border: [] } }
const byMemory = new Table({ ...plain, head: ['ratio to memory copy', ...contenders.slice(1).map((c) => c.name)] })
const byPeer = new Table({ ...plain, head: ['reserve-allocate against', 'memfs', '@zenfs/core'] })
console.log(`${cpus()[0]?.model ?? 'unknown cpu'}, node ${process.version}, ${rounds} rounds; 1.00 = as fast; [95 % interval]`)
console.log('ext4, 4 KiB blocks, folios up to 2 MiB; designs that replace whole folios (invalidate-*): 4 KiB folios\n')
for (const w of works) {
  process.stderr.write(`${w.name} ...\n`)
  const times = race(contenders, w)
  const row = contenders.slice(1).map((_, i) => ratios(times[0]!, times[i + 1]!))
  report[w.name] = Object.fromEntries(row.map((e, i) => [contenders[i + 1]!.name, e]))
  byMemory.push([w.name, ...row.map(show)])
  const mine = times[contenders.findIndex((c) => c.name === reserveAllocate.name)]!
  byPeer.push([w.name, show(ratios(times[1]!, mine)), show(ratios(times[2]!, mine))])
}
console.log(byMemory.toString())
console.log(byPeer.toString())
for (const c of contenders) if ('session' in c) (c as ReturnType<typeof ours>).session.posix.sync()

if (options.json !== undefined) {
  const result = { schema: 1, tool: 'perform-write bench', node: process.version, cpu: cpus()[0]?.model, rounds, report }
  writeFileSync(options.json, JSON.stringify(result, null, 2))
}

/** Create and write 10,000 files in one directory. */
function smallFiles(): Record<string, Estimate> {
  const once = (c: Contender): number =>
    time(() => {
      for (let i = 0; i < 10_000; i++) {
        c.create(`/f${i}`)
        c.write(source, 0, 4096, 0)
        c.close()
      }
    })
  const times = { memfs: [] as number[], mine: [] as number[] }
  for (let round = -1; round < Math.min(rounds, 7); round++) {
    const t = once(memfs())
    const u = once(ours(reserveAllocate, 256 * MIB))
    if (round < 0) continue
    times.memfs.push(t)
    times.mine.push(u)
  }
  return { memfs: ratios(times.memfs, times.mine) }
}

/** fsync of 64 MiB of new data onto an image file, against writeSync of the same bytes. */
function firstWriteback(): Record<string, Estimate> {
  const dir = mkdtempSync(join(tmpdir(), 'perform-write-bench-'))
  const plain: number[] = []
  const mine: number[] = []
  try {
    for (let round = -1; round < Math.min(rounds, 7); round++) {
      const file = openSync(join(dir, 'plain'), 'w')
      const t = time(() => {
        for (let at = 0; at < FILE; at += MIB) writeSync(file, source, 0, MIB, at)
      })
      fsyncSync(file)
      closeSync(file)
      const device = ImageDevice.create(join(dir, 'image'), 256 * MIB)
      must(make(device, { format: 'ext4' }))
      const { posix } = must(mount(device, { strategy: reserveAllocate, limitPages: 131072 }))
      const fd = must(posix.open('/f', ['O_RDWR', 'O_CREAT']))
      for (let at = 0; at < FILE; at += MIB) must(posix.pwrite(fd, source, at, 0, MIB))
      const u = time(() => must(posix.fsync(fd)))
      must(posix.close(fd))
      must(posix.unmount())
      device.close()
      rmSync(join(dir, 'image'))
      if (round < 0) continue
      plain.push(t)
      mine.push(u)
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
  return { writeSync: ratios(plain, mine) }
}
