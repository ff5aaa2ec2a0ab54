/**
 * npm run judges: images written by every design are shown to every judge that this machine has.
 *
 * For each design, format and workload: mkfs, replay, unmount; e2fsck checks the structures, debugfs reads every byte back, and
 * where root and loop devices exist the kernel mounts the image, compares every byte and size, writes to it itself, and we
 * mount it again and read what the kernel wrote. What must be in an image is said by the byte model, which shares no code with
 * src. At the end each judge is handed damaged images, which it must refuse: a judge that accepts everything is worse than none.
 * Exit 1 if an image is refused, a judge accepts damage, or e2fsck or debugfs judged nothing.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { isLeft } from 'fp-ts/lib/Either.js'
import { MemoryDevice } from '../src/block/memory-device.ts'
import { Scratch } from '../src/host/scratch.ts'
import { Replayer } from '../src/lab/replay.ts'
import { FORMATS, freshSession, mount, type FormatName } from '../src/lab/session.ts'
import { payload } from '../src/lab/workload/payload.ts'
import { openWorkload } from '../src/lab/workload/registry.ts'
import type { AnyStrategy } from '../src/fs/strategy.ts'
import type { Posix } from '../src/fs/posix.ts'
import { judgeTheJudges } from '../src/oracle/damage.ts'
import { debugfs } from '../src/oracle/debugfs.ts'
import { e2fsck } from '../src/oracle/e2fsck.ts'
import { type ExpectedEntry, type ImageUnderTest, type Judge, Tally } from '../src/oracle/judge.ts'
import { judgeAndChange, kernelJudge } from '../src/oracle/kernel-judge.ts'
import { strategies } from '../src/strategies/index.ts'
import { ByteModel } from './models/byte-model.ts'
import type { Node } from './models/name-tree.ts'

const WORKLOADS = ['sqlite-wal', 'git-clone', 'mixed'] as const
const scratch = new Scratch('perform-write-judges')
const tally = new Tally()
const problems: string[] = []

const value = <A>(result: { _tag: 'Left'; left: unknown } | { _tag: 'Right'; right: A }): A => {
  if (result._tag === 'Left') throw new Error(`failed with ${JSON.stringify(result.left)}`)
  return result.right
}

/** Replay a workload onto a fresh image file, and through the model. */
const write = (strategy: AnyStrategy, format: FormatName, workload: string): ImageUnderTest => {
  const session = freshSession({ format, strategy, size: 64 << 20 })
  const { blockSize, hasUnwritten, maxBytes } = session.fs.format
  const model = new ByteModel({
    blockSize, maxBytes, payload, unwritten: hasUnwritten, mayFail: (op) => op.op === 'fallocate' && !hasUnwritten,
  })
  const replayer = new Replayer(session.posix)
  let index = 0
  for (const op of openWorkload(workload).operations) {
    const outcome = replayer.step(op, index)
    const bytes = op.op === 'read' ? replayer.lastRead : Buffer.alloc(0)
    const actual = isLeft(outcome) ? { n: 0, errno: outcome.left, bytes } : { n: outcome.right, errno: null, bytes }
    const wrong = model.apply(op, index++, actual)
    if (wrong !== null) problems.push(`${strategy.name}, ${format}, ${workload}: ${wrong}`)
  }
  replayer.closeAll()
  value(session.posix.unmount())
  const path = scratch.path(`${strategy.name}-${format}-${workload}`)
  writeFileSync(path, (session.device as MemoryDevice).image())
  return { path, format, expected: entries(model.root, '') }
}

/** All names below a directory of the model. */
const entries = (directory: Node, above: string): ExpectedEntry[] =>
  [...directory.entries].flatMap(([name, node]) => {
    const path = `${above}${name}`
    if (path === 'lost+found') return []
    const size = node.bytes.size
    if (node.kind === 'file') return [{ path, type: node.kind, size, contents: () => node.bytes.read(0, size) }]
    if (node.kind === 'symlink') return [{ path, type: node.kind, size: 0, target: node.target }]
    return [{ path, type: node.kind, size: 0 }, ...entries(node, `${path}/`)]
  })

/** Read back with our own code what the kernel left. @returns what is wrong */
const readBack = (path: string, after: readonly ExpectedEntry[]): string[] => {
  const mounted = mount(MemoryDevice.of(readFileSync(path)), { strategy: strategies[0]!, readOnly: true })
  if (isLeft(mounted)) return [mounted.left.message]
  return after.flatMap((entry) => differs(mounted.right.posix, entry))
}

const differs = (posix: Posix, entry: ExpectedEntry): string[] => {
  const stat = posix.stat(entry.path, false)
  if (isLeft(stat)) return [`${entry.path}: ${stat.left}`]
  if (entry.type !== 'file') return []
  if (stat.right.size !== entry.size) return [`${entry.path}: ${stat.right.size} bytes, the kernel wrote ${entry.size}`]
  const contents = entry.contents?.()
  if (contents === undefined) return []
  const want = Buffer.isBuffer(contents) ? contents : Buffer.alloc(entry.size)
  if (!Buffer.isBuffer(contents)) for (const { pos, bytes } of contents) bytes.copy(want, pos)
  const have = Buffer.alloc(entry.size)
  const fd = value(posix.open(entry.path, ['O_RDONLY']))
  value(posix.pread(fd, have, 0))
  posix.close(fd)
  return have.equals(want) ? [] : [`${entry.path}: not the bytes that the kernel wrote`]
}

const all: readonly Judge[] = [e2fsck, debugfs]
const here: Judge[] = []
for (const judge of all) {
  const can = await judge.available()
  if (can.ok) here.push(tally.counted(judge))
  else problems.push(`${judge.name} judged nothing: ${can.why}`)
}
const kernel = await kernelJudge.available()
if (!kernel.ok) console.log(`judge kernel: not here: ${kernel.why}`)

for (const strategy of strategies) {
  for (const format of FORMATS) {
    for (const workload of WORKLOADS) {
      const image = write(strategy, format, workload)
      const what = `${strategy.name}, ${format}, ${workload}`
      for (const judge of here) {
        const { lines } = await judge.judge(image)
        problems.push(...lines.map((line) => `${judge.name}: ${what}: ${line}`))
      }
      if (kernel.ok) {
        const { judgement, after } = await judgeAndChange(image)
        tally.add('kernel', judgement)
        problems.push(...judgement.lines.map((line) => `kernel: ${what}: ${line}`))
        problems.push(...readBack(image.path, [...after]).map((line) => `read back: ${what}: ${line}`))
      }
    }
  }
}

const damaged = write(strategies[1]!, 'ext4', 'git-clone')
for (const { judge, kind, verdict } of await judgeTheJudges(damaged)) {
  console.log(`judge ${judge}: ${kind}: ${verdict}`)
  if (verdict === 'accepted') problems.push(`${judge} accepted an image with ${kind}`)
}
for (const line of tally.lines()) console.log(line)
for (const line of problems.slice(0, 20)) console.error(line)
scratch.close()
process.exitCode = problems.length > 0 ? 1 : 0
