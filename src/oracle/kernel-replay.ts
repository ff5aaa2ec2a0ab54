/**
 * Kernel replay: the calls of a counterexample on the file system of the running kernel, beside what they did in the model.
 *
 * For counterexamples of one process whose only misfortune is a source that cannot be read to its end, or a full disk: a kernel's
 * schedule cannot be forced, nor the failure of its memory. Both arms start from the same empty image; what a kernel cannot be
 * told to do (drop the cache of one file) is left out, and said so.
 *
 * The claim is held against what can be seen from outside: return values, size, bytes before and after a remount, st_blocks, and
 * free blocks before and after the inode was evicted: blocks that come back then were held for nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { isLeft } from 'fp-ts/lib/Either.js'
import { MAPPED } from '../fs/extent-map.ts'
import type { KernelOperation } from '../host/sequence.ts'
import { run } from '../kernel/kernel.ts'
import { payload } from '../lab/check/actor.ts'
import type { CounterexampleFile } from '../lab/check/counterexample.ts'
import { ground, GROUND_BYTES } from '../lab/check/ground.ts'
import type { Judge } from '../lab/check/judge.ts'
import { Past } from '../lab/check/past.ts'
import { type Action, numbered, type Program, sayAction } from '../lab/check/program.ts'
import { type Bench, rerunIn } from '../lab/check/rerun.ts'
import { World } from '../lab/check/world.ts'
import { mount } from '../lab/session.ts'
import type { TapeData } from '../sim/tape.ts'
import { type Answer, KernelArm, type Outcome, type Surveyed } from './kernel-arm.ts'

/** Kernels that a counterexample can be replayed on: those whose format is that of a program. */
export const REPLAY_KERNELS = ['ext4', 'ext2'] as const
/** One of them. */
export type ReplayKernel = (typeof REPLAY_KERNELS)[number]

/** The kernel with this name, or null. */
export const kernelOf = (name: string): ReplayKernel | null => REPLAY_KERNELS.find((k) => k === name) ?? null

/** What is asked. */
export interface KernelQuestion {
  readonly kernel: ReplayKernel
  /** The family of the claim: `space` is judged by blocks, the others by bytes, sizes and results. */
  readonly family: string
  /** The design of the counterexample, for the model's side. */
  readonly bench: Bench
}

/** What the kernel did. */
export type KernelReplay =
  | { readonly obstacle: string }
  | { readonly unavailable: string }
  | {
    /** `Linux 6.18.44`. */
    readonly release: string
    readonly lines: readonly string[]
    /** How the kernel breaks the claim; empty: it does not, as far as can be seen. */
    readonly findings: readonly string[]
  }

/** Why a kernel cannot be made to run this, or null. */
export const obstacleOf = ({ program, tape }: { readonly program: Program; readonly tape: TapeData }): string | null => {
  if (program.fibers.length > 1) return `it needs ${program.fibers.length} processes in one order of steps, which no kernel can be told`
  for (const kind of ['fault', 'short', 'completion'] as const) {
    const forced = tape[kind]?.find((d) => d.pick !== 0)
    if (forced !== undefined) return `it needs ${forced.label} (${kind}) at one place, which no kernel can be told`
  }
  const pinned = [...program.before, ...program.fibers.flat()].find((a) => a.op === 'dma')
  if (pinned !== undefined) return 'it needs a device that writes into a pinned page'
  return program.config.quota === undefined ? null : 'it needs a quota, which the disk of the kernel has not'
}

// --- operations ------------------------------------------------------------------------------------------------------------

/** An action as the kernel's arm takes it; null: it cannot. */
const operationOf = (a: Action): KernelOperation | null => {
  switch (a.op) {
    case 'write': {
      if (a.self !== undefined || a.nowait === true || a.cursor === true || a.pieces === true) return null
      const fd = a.append === true ? 1 : a.direct === true ? 2 : 0
      const to = { fd, len: a.len, ...(a.append !== true && { off: a.pos }), ...(a.sync === true && { sync: true as const }) }
      return a.readable === undefined ? { op: 'write', ...to } : { op: 'write', ...to, readable: a.readable }
    }
    case 'read': case 'load': return { op: 'read', fd: 0, off: a.pos, len: a.len }
    case 'store': return { op: 'mmap-write', fd: 0, off: a.pos, len: a.len }
    case 'punch': case 'zero': return { op: 'fallocate', fd: 0, mode: a.op, off: a.pos, len: a.len }
    case 'allocate': return { op: 'fallocate', fd: 0, mode: a.keep === true ? 'keep-size' : 'allocate', off: a.pos, len: a.len }
    case 'truncate': return { op: 'ftruncate', fd: 0, len: a.size }
    case 'fsync': case 'writeback': return { op: 'fsync', fd: 0 }
    case 'sync': return { op: 'sync' }
    case 'stat': return { op: 'stat', path: 'f' }
    default: return null
  }
}

const OPENS: readonly KernelOperation[] = [
  { op: 'open', fd: 0, path: 'f', flags: ['O_RDWR', 'O_CREAT'] }, { op: 'open', fd: 1, path: 'f', flags: ['O_RDWR', 'O_APPEND'] },
  { op: 'open', fd: 2, path: 'f', flags: ['O_RDWR', 'O_DIRECT'] },
]

interface Call {
  readonly action: Action
  readonly tag: number
  /** Place in the list of operations, or -1: left out. */
  readonly at: number
}

const callsOf = (program: Program): { ops: KernelOperation[]; calls: readonly Call[] } => {
  const ops = [...OPENS]
  const calls = numbered(program).map(({ action, tag }): Call => {
    const op = operationOf(action)
    if (op === null) return { action, tag, at: -1 }
    ops.push(op)
    return { action, tag, at: ops.length - 1 }
  })
  return { ops, calls }
}

// --- the image ---------------------------------------------------------------------------------------------------------------

/** Blocks that the kernel gives to nobody, on ext2 too: ext4_set_resv_clusters (fs/ext4/super.c), and seen on 6.18. */
const keptByKernel = (blocks: number): number => Math.min(Math.floor(blocks / 50), 4096)

/** The empty image, or one with a file that leaves `leave` blocks once what stands before has its own. */
const imageOf = ({ config, before }: Program, kernel: ReplayKernel, { strategy }: Bench): Buffer => {
  const device = ground({ ...config, format: kernel }).fork()
  if (config.leave === undefined) return device.image()
  const { leave, ...room } = config
  const { place } = new World({ config: { ...room, format: kernel }, before, fibers: [[{ op: 'stat' }]] }, { strategy, judges: [] })
  const used = place.freeAtFirst - place.session.fs.space.available
  const mounted = mount(device, { strategy, now: () => 1_600_000_000_000_000 })
  if (isLeft(mounted)) throw new Error(mounted.left.message)
  const { fs, posix } = mounted.right
  const fd = posix.open('ballast', ['O_RDWR', 'O_CREAT'])
  if (isLeft(fd)) throw new Error(`no ballast: ${fd.left}`)
  const inode = fs.cachedInodes().find((i) => i.isFile)!
  const keep = leave + used + keptByKernel(fs.format.totalBlocks)
  for (let lblk = 0; fs.space.available > keep;) {
    const placed = run(fs.allocate(fs.verbs, inode, null, lblk, fs.space.available - keep, MAPPED))
    if (isLeft(placed)) break
    lblk += placed.right
  }
  inode.size = inode.diskSize = inode.map.end * fs.blockSize
  run(fs.writeInode(inode))
  posix.close(fd.right)
  posix.unmount()
  return device.image()
}

// --- our side ----------------------------------------------------------------------------------------------------------------

/** What is seen of a file, by either side. */
interface Seen {
  readonly results: readonly string[]
  readonly size: number
  /** Units of 512 bytes. */
  readonly blocks: number
}

const ourSide = (c: CounterexampleFile, bench: Bench): Seen => {
  let seen: { size: number; blocks: number } | null = null
  const surveyor: Judge = {
    claim: 'survey', on: 0, when: ['synced'],
    rest: ({ inode, fs }) => {
      const blocks = inode.map.realBlocks + inode.map.delayedBlocks + fs.format.mapBlocks(inode)
      seen ??= { size: inode.size, blocks: (blocks * fs.blockSize) / 512 }
      return []
    },
  }
  const world = new World(c.program, { ...bench, judges: [surveyor] })
  rerunIn(world, { claim: 'survey', program: c.program, tape: c.tape })
  const results = world.history.records.map((r) => r.errno ?? String(r.n))
  const { inode } = world
  return { results, ...(seen ?? { size: inode.size, blocks: 0 }) }
}

// --- judging -----------------------------------------------------------------------------------------------------------------

const resultOf = (answer: Answer): string =>
  answer.ret < 0 ? answer.errno! : String(answer.attributes?.size ?? answer.ret)

const bytesOf = (file: Surveyed): Buffer => {
  const out = Buffer.alloc(file.size)
  for (const { pos, bytes } of file.contents ?? []) bytes.copy(out, pos, 0, Math.min(bytes.length, file.size - pos))
  return out
}

/** The file that the calls that succeeded leave behind, and what calls returned that they must not. */
const expectedOf = (calls: readonly Call[], answers: readonly Answer[]): { past: Past; wrong: string[] } => {
  const past = new Past()
  const wrong: string[] = []
  for (const { action: a, tag, at } of calls) {
    const answer = answers[at]
    if (answer === undefined || answer.ret < 0) continue
    if (a.op === 'write') {
      const readable = a.readable ?? a.len
      if (answer.ret > readable || (a.len > 0 && answer.ret === 0)) wrong.push(`${sayAction(a)} returned ${answer.ret}`)
      past.did({ ...a, readable: answer.ret }, tag)
    } else past.did(a, tag)
  }
  return { past, wrong }
}

const hex = (b: number): string => `0x${b.toString(16).padStart(2, '0')}`

/** How the kernel breaks a claim of this family. */
const findingsOf = (family: string, calls: readonly Call[], theirs: Outcome): readonly string[] => {
  const file = theirs.files.find((f) => f.path === 'f')
  if (file === undefined) return ['the file is gone']
  const { after, cold } = theirs.space
  const held = cold.bfree - after.bfree
  if (family === 'space') {
    if (held <= 0) return []
    const blocks = held === 1 ? `a block of ${after.bsize} bytes was` : `${held} blocks of ${after.bsize} bytes were`
    return [`${blocks} held for nothing until the inode was evicted: st_blocks ${file.blocks} for a file of ${file.size} bytes after sync`]
  }
  const { past, wrong } = expectedOf(calls, theirs.answers)
  const bytes = bytesOf(file)
  if (file.size !== past.size) wrong.push(`the size is ${file.size}, the calls leave ${past.size}`)
  const at = bytes.findIndex((b, i) => i < past.size && b !== past.bytes[i])
  if (at >= 0) wrong.push(`byte ${at} is ${hex(bytes[at]!)}, the calls leave ${hex(past.bytes[at]!)}`)
  if (theirs.changedCold.includes('f')) wrong.push('the file has other bytes after a remount')
  return wrong
}

/** Run the calls on the kernel. @throws Error if the arm breaks down */
export const replayOnKernel = async (c: CounterexampleFile, { kernel, family, bench }: KernelQuestion): Promise<KernelReplay> => {
  const obstacle = obstacleOf(c)
  if (obstacle !== null) return { obstacle: `cannot be replayed on a kernel: ${obstacle}` }
  const { ops, calls } = callsOf(c.program)
  const cannot = calls.find((x) => x.at < 0 && x.action.op === 'write')
  if (cannot !== undefined) return { obstacle: `${sayAction(cannot.action)}: take --export python for this one` }
  const can = KernelArm.available(kernel)
  if (!can.ok) return { unavailable: can.why }
  const theirs = await runThere(c, ops, calls, kernel, bench)
  if (theirs.refused !== undefined) return { unavailable: `the kernel refused the image: ${theirs.refused}` }
  return { release: `Linux ${release()}`, lines: linesOf(c, calls, theirs, ourSide(c, bench)), findings: findingsOf(family, calls, theirs) }
}

const runThere = async (
  c: CounterexampleFile, ops: readonly KernelOperation[], calls: readonly Call[], kernel: ReplayKernel, bench: Bench,
): Promise<Outcome> => {
  const directory = mkdtempSync(join(tmpdir(), 'perform-write-replay-'))
  const arm = await KernelArm.open({ kernel, sizeBytes: GROUND_BYTES, blockSize: c.program.config.blockSize })
  try {
    const image = join(directory, 'image')
    writeFileSync(image, imageOf(c.program, kernel, bench))
    return await arm.runSequence(ops, (i) => {
      const { action, tag } = calls.find((x) => x.at === i)!
      return payload(action, tag)
    }, image)
  } finally {
    await arm.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

const linesOf = (c: CounterexampleFile, calls: readonly Call[], theirs: Outcome, ours: Seen): readonly string[] => {
  const file = theirs.files.find((f) => f.path === 'f')
  const first = c.program.before.length
  const rows: [string, string, string][] = calls.map(({ action, at }, i) => [
    `${i < first ? 'before: ' : ''}${sayAction(action)}`, i < first ? 'done' : ours.results[i - first]!,
    at < 0 ? 'left out' : resultOf(theirs.answers[at]!),
  ])
  const { before, after, closed, cold } = theirs.space
  rows.push(
    ['size after sync', String(ours.size), String(file?.size ?? '-')],
    ['st_blocks * 512 after sync', String(ours.blocks * 512), String((file?.blocks ?? 0) * 512)],
    ['blocks taken since the mount: after sync', '', String(before.bfree - after.bfree)],
    ['  with the file closed', '', String(before.bfree - closed.bfree)],
    ['  after a remount', '', String(before.bfree - cold.bfree)],
  )
  const wide = [0, 1].map((i) => Math.max(...rows.map((r) => r[i]!.length), i === 1 ? 'model'.length : 0))
  const line = (what: string, ours: string, kernel: string): string =>
    `${what.padEnd(wide[0]!)}  ${ours.padStart(wide[1]!)}  ${kernel.padStart(8)}`.trimEnd()
  return [line('', 'model', 'kernel'), ...rows.map(([what, a, b]) => line(what, a, b))]
}
