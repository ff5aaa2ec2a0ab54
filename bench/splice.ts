/**
 * npm run bench:splice: 1 MiB out of a pipe into a file, donated against copied, in one run.
 *
 * Both take turns in every round; the ratio is formed within its round. What is timed is the splice alone; the pipe is filled and
 * the file emptied outside. Bytes are verified after each round, the ledger says what was copied. Wall time in JavaScript says
 * nothing of a kernel: a page here costs what a turn of the loop costs, not what a page-table walk costs. Options: --rounds N.
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import type { AnyStrategy } from '../src/fs/strategy.ts'
import { since, snapshot } from '../src/kernel/ledger.ts'
import { freshSession } from '../src/lab/session.ts'
import { Pipes } from '../src/pipe/pipes.ts'
import { strategies } from '../src/strategies/index.ts'
import { must } from './contenders.ts'
import { type Estimate, estimate, ratio, show } from '../src/lab/statistics.ts'

const MIB = 1 << 20
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '40' } } })
const rounds = Number(values.rounds)
const bytes = Buffer.from(Array.from({ length: MIB }, (_, i) => (Math.imul(i, 0x9e3779b1) >>> 13) & 0xff))
const into = Buffer.alloc(MIB)

interface Raced {
  readonly donated: number
  readonly copied: number
  /** How many times as long the copy takes. */
  readonly ratio: Estimate
  /** Bytes copied, and pages taken, of the donated one. */
  readonly bytes: number
  readonly pages: number
}

/** Both ways in turns, folios up to 4 KiB << order. */
const race = (strategy: AnyStrategy, maxFolioOrder: number): Raced => {
  const { posix, ledger } = freshSession({ format: 'ext4', strategy, size: 8 * MIB, maxFolioOrder })
  const pipes = new Pipes(posix)
  const pipe = pipes.pipe(256)
  const fd = must(posix.open('f', ['O_RDWR', 'O_CREAT']))
  const times: Record<'donated' | 'copied', number[]> = { donated: [], copied: [] }
  let cost = snapshot(ledger)
  for (let round = -20; round < rounds; round++) {
    for (const way of ['donated', 'copied'] as const) {
      must(posix.ftruncate(fd, 0))
      must(pipes.write(pipe, bytes))
      const before = snapshot(ledger)
      const start = process.hrtime.bigint()
      must(pipes.toFile(pipe, fd, 0, MIB, way === 'donated' ? ['SPLICE_F_MOVE'] : []))
      const t = Number(process.hrtime.bigint() - start) / 1000
      if (way === 'donated') cost = since(before, ledger)
      if (round >= 0) times[way].push(t)
      must(posix.pread(fd, into, 0))
      if (!into.equals(bytes)) throw new Error(`${strategy.name}: wrong bytes, ${way}`)
    }
  }
  return {
    donated: estimate(times.donated).median, copied: estimate(times.copied).median, ratio: ratio(times.copied, times.donated),
    bytes: cost.copiedBytes + cost.innerBytes, pages: cost.pagesStolen - cost.pagesReturned,
  }
}

const head = [
  '1 MiB, pipe to new file', 'donated: bytes copied', 'pages taken', '4 KiB folios: donated, us', 'copied, us', 'copied / donated',
  '2 MiB folios: donated, us', 'copied, us', 'copied / donated',
]
const table = new Table({ style: { head: [], border: [] }, head })
for (const strategy of strategies) {
  const [small, large] = [race(strategy, 0), race(strategy, 9)]
  table.push([
    strategy.name, small.bytes, small.pages, small.donated.toFixed(0), small.copied.toFixed(0), show(small.ratio),
    large.donated.toFixed(0), large.copied.toFixed(0), show(large.ratio),
  ])
}
console.log(`${cpus()[0]?.model ?? 'unknown cpu'}, node ${process.version}, ${rounds} rounds; ext4, 4 KiB blocks; [95 % interval]`)
console.log(table.toString())
