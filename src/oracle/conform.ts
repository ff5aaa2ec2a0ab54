/**
 * Conformance: the same operations through one of our designs and through a mounted file system of the running kernel.
 *
 * Compared for every operation: return value, errno, bytes read; after a final sync, files still open, for every file: size,
 * bytes, and for the same format the map of holes, st_blocks and free blocks. A difference is either explained by a rule of
 * the *envelope*, a named, declared list (docs/fidelity.md tells the reasons), or it fails. Where a rule says that
 * the two arms have legally gone different ways (a full disk met at another byte), the rest of the sequence is not compared.
 * Both arms start from the very same image: our own mkfs, mounted by the kernel.
 */
import { writeFileSync, rmSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isLeft } from 'fp-ts/lib/Either.js'
import { MemoryDevice } from '../block/memory-device.ts'
import type { Posix } from '../fs/posix.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import { UserMemory } from '../iov/user-memory.ts'
import { IovIter } from '../iov/iov-iter.ts'
import { PAGE, roundUp } from '../kernel/units.ts'
import { Replayer } from '../lab/replay.ts'
import { type FormatName, make, mount, type Session } from '../lab/session.ts'
import { payload } from '../lab/workload/payload.ts'
import type { Answer, KernelOperation } from '../host/sequence.ts'
import { KernelArm, type KernelName, type Outcome, type Surveyed } from './kernel-arm.ts'

/** What runs against what. */
export interface ConformOptions {
  readonly kernel: KernelName
  readonly strategy: AnyStrategy
  /** Bytes in a block; default 4096. */
  readonly blockSize?: number
  /** Bytes of the disk; default 8 MiB. */
  readonly size?: number
}

/** One difference. `rule` names the rule of the envelope that explains it, null if none does. */
export interface Difference {
  /** Operation number, or -1 for the state at the end. */
  readonly at: number
  readonly what: string
  readonly ours: string
  readonly kernel: string
  readonly rule: string | null
}

/** Kernels whose images are ours: holes, st_blocks and free blocks are compared too. */
const SAME_FORMAT: Readonly<Record<KernelName, FormatName | null>> = {
  ext2: 'ext2', ext4: 'ext4', 'ext4,nodelalloc': 'ext4', xfs: null, btrfs: null,
}

/** Two arms over one image. */
export class Conformance {
  readonly options: ConformOptions
  readonly #arm: KernelArm
  readonly #device: MemoryDevice
  readonly #directory: string
  readonly #image: string | undefined

  private constructor(options: ConformOptions, arm: KernelArm, device: MemoryDevice, directory: string, image?: string) {
    this.options = options
    this.#arm = arm
    this.#device = device
    this.#directory = directory
    this.#image = image
  }

  /** Start both arms. @throws Error in one line where the kernel arm is unavailable */
  static async open(options: ConformOptions): Promise<Conformance> {
    const size = options.size ?? 8 << 20
    const blockSize = options.blockSize ?? 4096
    const same = SAME_FORMAT[options.kernel]
    const device = new MemoryDevice(size)
    const made = make(device, { format: same ?? 'ext4', blockSize })
    if (isLeft(made)) throw new Error(made.left.message)
    const arm = await KernelArm.open({ kernel: options.kernel, sizeBytes: size, blockSize })
    const directory = mkdtempSync(join(tmpdir(), 'perform-write-conform-'))
    if (same === null) return new Conformance(options, arm, device, directory)
    const image = join(directory, 'image')
    writeFileSync(image, device.image())
    return new Conformance(options, arm, device, directory, image)
  }

  /** Run one sequence through both arms. @returns all differences, explained ones included */
  async run(ops: readonly KernelOperation[]): Promise<Difference[]> {
    const theirs = await this.#arm.runSequence(ops, (i, len) => Buffer.from(payload(i, len)), this.#image)
    if (theirs.refused !== undefined) return [difference(-1, 'mount', 'mounted', theirs.refused)]
    const session = mount(this.#device.fork(), { strategy: this.options.strategy })
    if (isLeft(session)) throw new Error(session.left.message)
    return compare(ops, session.right, theirs, SAME_FORMAT[this.options.kernel] !== null, this.options.kernel)
  }

  /** End both arms. */
  async close(): Promise<void> {
    await this.#arm.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

const difference = (at: number, what: string, ours: string, kernel: string, rule: string | null = null): Difference =>
  ({ at, what, ours, kernel, rule })

/** Run our arm and lay it beside the kernel's outcome. */
const compare = (
  ops: readonly KernelOperation[], session: Session, theirs: Outcome, same: boolean, kernel: KernelName,
): Difference[] => {
  const out: Difference[] = []
  const replayer = new Replayer(session.posix)
  const seen: Seen = { fallocated: false, torn: false }
  for (const [i, op] of ops.entries()) {
    seen.fallocated ||= op.op === 'fallocate' && op.mode !== 'punch'
    seen.torn ||= 'readable' in op && op.readable < op.len
    const mine = answer(replayer, op, i)
    const found =
      compareAnswers(i, op, mine, theirs.answers[i]!, kernel, seen) ?? failedExtension(i, op, mine, session.posix, ops, kernel)
    if (found === null) continue
    out.push(found)
    if (found.rule !== null && PARTS.has(found.rule)) return out
  }
  const synced = session.posix.sync()
  if (isLeft(synced)) out.push(difference(-1, 'sync', synced.left, 'ok'))
  out.push(...compareFiles(session.posix, theirs.files, same))
  if (same) {
    const free = session.posix.statfs().free
    const { bfree } = theirs.space.after
    if (free !== bfree) out.push(difference(-1, 'free blocks', String(free), String(bfree)))
  }
  const explained = (d: Difference): Difference =>
    d.rule !== null || d.at >= 0 ? d : { ...d, rule: explainState(d, ops, theirs.answers, kernel, session.fs.blockSize) }
  return out.map(explained)
}

/** What we answer to one operation, in the form of the kernel arm. */
const answer = (replayer: Replayer, op: KernelOperation, index: number): Answer => {
  const result = 'readable' in op ? torn(replayer, op, index) : replayer.step(op, index)
  if (isLeft(result)) return { ret: -1, errno: result.left }
  const ret = op.op === 'open' ? 0 : result.right
  return op.op === 'read' ? { ret, data: Buffer.from(replayer.lastRead) } : { ret }
}

/** A write whose source ends `readable` bytes before an unreadable page. */
const torn = (replayer: Replayer, op: Extract<KernelOperation, { readonly readable: number }>, index: number) => {
  const readable = Math.min(op.readable, op.len)
  const start = roundUp(readable, PAGE) - readable
  const memory = new UserMemory(roundUp(start + op.len, PAGE) + PAGE)
  memory.bytes.set(payload(index, readable), start)
  if (readable < op.len) memory.mark(start + readable, memory.size - start - readable, 'unreadable')
  return replayer.writeFrom(op.fd, new IovIter(memory, [{ addr: start, len: op.len }]), op.off)
}

// --- the envelope ------------------------------------------------------------------------------------------------

/** Rules after which both arms have legally gone different ways. */
const PARTS = new Set(['short-copy', 'enospc', 'cow-enospc', 'efault-moves-size'])

/** What the sequence did so far. */
interface Seen {
  /** An fallocate that leaves unwritten blocks. */
  fallocated: boolean
  /** A write whose source was not all readable. */
  torn: boolean
}

const compareAnswers = (
  at: number, op: KernelOperation, ours: Answer, theirs: Answer, kernel: KernelName, seen: Seen,
): Difference | null => {
  const told = (a: Answer): string => (a.ret < 0 ? (a.errno ?? 'error') : String(a.ret))
  if (ours.ret === theirs.ret && ours.errno === theirs.errno) {
    if (ours.data === undefined || theirs.data === undefined || ours.data.equals(theirs.data)) return null
    return difference(at, `${op.op}: bytes`, ours.data.toString('hex', 0, 16), theirs.data.toString('hex', 0, 16))
  }
  return difference(at, op.op, told(ours), told(theirs), explain(op, ours, theirs, kernel, seen))
}

/**
 * A write past the end that fails with EFAULT moves i_size to its position on ext4: ext4_write_end updates the size to
 * pos + copied with copied = 0. Measured on Linux 6.18; a failed write should leave the size alone (I12).
 */
const failedExtension = (
  at: number, op: KernelOperation, ours: Answer, posix: Posix, ops: readonly KernelOperation[], kernel: KernelName,
): Difference | null => {
  if (op.op !== 'write' || ours.errno !== 'EFAULT' || !kernel.startsWith('ext') || op.off === undefined) return null
  const open = ops.find((o) => o.op === 'open' && o.fd === op.fd)
  const stat = open?.op === 'open' ? posix.stat(open.path) : null
  if (stat === null || isLeft(stat) || op.off <= stat.right.size) return null
  return difference(at, 'i_size after a failed write', String(stat.right.size), String(op.off), 'efault-moves-size')
}

/** The rule that allows two answers to differ, or null. */
const explain = (
  op: KernelOperation, ours: Answer, theirs: Answer, kernel: KernelName, seen: Seen,
): string | null => {
  const full = (a: Answer): boolean => a.errno === 'ENOSPC'
  if (op.op === 'write' || op.op === 'writev' || op.op === 'fallocate') {
    const len = op.op === 'writev' ? op.lens.reduce((a, b) => a + b, 0) : op.len
    const short = (a: Answer): boolean => full(a) || (a.ret >= 0 && a.ret < len)
    if (full(ours) || full(theirs)) return kernel === 'btrfs' || kernel === 'xfs' ? 'cow-enospc' : 'enospc'
    if ('readable' in op && short(ours) && short(theirs) && kernel === 'btrfs') return 'short-copy'
    if ('readable' in op && theirs.errno === 'EFAULT' && kernel === 'btrfs') return 'short-copy'
    if (!('readable' in op) && (short(ours) || short(theirs))) return 'enospc'
  }
  if (op.op === 'lseek' && (kernel === 'xfs' || kernel === 'btrfs')) return 'hole-granularity'
  if (op.op === 'lseek' && seen.fallocated) return 'unwritten-in-cache'
  if (op.op === 'lseek' && seen.torn) return 'efault-zero-fills'
  return null
}

/** The rule that allows the states to differ at the end, or null. */
const explainState = (
  d: Difference, ops: readonly KernelOperation[], answers: readonly Answer[], kernel: KernelName, blockSize: number,
): string | null => {
  if (!kernel.startsWith('ext')) return null
  const torn = ops.some((op) => 'readable' in op && op.readable < op.len)
  const failed = ops.some((op, i) => 'readable' in op && answers[i]!.errno === 'EFAULT')
  const fallocated = ops.some((op) => op.op === 'fallocate' && op.mode !== 'punch')
  const punched = ops.some((op) => op.op === 'fallocate' && op.mode === 'punch')
  if (d.what.endsWith('data ranges')) {
    if (fallocated) return 'unwritten-in-cache'
    const more = failed ? 'efault-zero-fills' : kernel === 'ext4' ? 'delalloc-leak' : 'folio-size'
    if (torn && coversRanges(d.kernel, d.ours)) return more
    return torn && coversRanges(d.ours, d.kernel) ? 'folio-size' : null
  }
  if (!/(st_blocks|free blocks)$/.test(d.what)) return null
  const delta = Math.abs(Number(d.ours) - Number(d.kernel))
  const kernelHasMore = (Number(d.kernel) > Number(d.ours)) === d.what.endsWith('st_blocks')
  const oneBlock = delta <= (d.what === 'free blocks' ? 3 : blockSize / 512)
  if (kernel !== 'ext2' && oneBlock) return 'tree-block'
  if (kernel === 'ext2' && punched && kernelHasMore && oneBlock) return 'indirect-kept'
  if (!torn) return null
  if (kernelHasMore) return kernel === 'ext4' ? 'delalloc-leak' : failed ? 'efault-zero-fills' : 'folio-size'
  return fallocated && kernel !== 'ext2' ? 'failed-write-trims' : 'folio-size'
}

/** Does the list of ranges `outer` hold every byte of `inner`? Both as JSON. */
const coversRanges = (outer: string, inner: string): boolean => {
  const ranges = JSON.parse(outer) as [number, number][]
  return (JSON.parse(inner) as [number, number][]).every(([a, b]) => ranges.some(([x, y]) => x <= a && b <= y))
}

const compareFiles = (posix: Posix, theirs: readonly Surveyed[], same: boolean): Difference[] => {
  const out: Difference[] = []
  for (const file of theirs) {
    if (file.type !== 'file') continue
    const stat = posix.stat(file.path)
    if (isLeft(stat)) {
      out.push(difference(-1, `${file.path}: stat`, stat.left, 'there'))
      continue
    }
    const { size, blocks } = stat.right
    // Before anything is read: what is cached over unwritten blocks counts as data.
    const holes = same ? JSON.stringify(dataRanges(posix, file.path, size)) : ''
    if (size !== file.size) out.push(difference(-1, `${file.path}: size`, String(size), String(file.size)))
    else out.push(...compareBytes(posix, file))
    if (!same) continue
    if (blocks !== file.blocks) out.push(difference(-1, `${file.path}: st_blocks`, String(blocks), String(file.blocks)))
    const their = JSON.stringify((file.data ?? []).map((r) => [r.from, r.to]))
    if (size === file.size && holes !== their) out.push(difference(-1, `${file.path}: data ranges`, holes, their))
  }
  return out
}

const compareBytes = (posix: Posix, file: Surveyed): Difference[] => {
  const want = Buffer.alloc(file.size)
  for (const segment of file.contents ?? []) segment.bytes.copy(want, segment.pos)
  const have = Buffer.alloc(file.size)
  const fd = posix.open(file.path, ['O_RDONLY'])
  if (isLeft(fd)) return [difference(-1, `${file.path}: open`, fd.left, 'there')]
  posix.pread(fd.right, have, 0)
  posix.close(fd.right)
  const at = have.findIndex((byte, i) => byte !== want[i])
  if (at < 0) return []
  return [difference(-1, `${file.path}: byte ${at}`, String(have[at]), String(want[at]))]
}

const dataRanges = (posix: Posix, path: string, size: number): [number, number][] => {
  const out: [number, number][] = []
  const fd = posix.open(path, ['O_RDONLY'])
  if (isLeft(fd)) return out
  for (let at = 0; at < size; ) {
    const data = posix.lseek(fd.right, at, 'data')
    if (isLeft(data)) break
    const hole = posix.lseek(fd.right, data.right, 'hole')
    if (isLeft(hole)) break
    out.push([data.right, hole.right])
    at = hole.right
  }
  posix.close(fd.right)
  return out
}
