/**
 * Arm: a kernel file system in this process, made afresh for each sequence of operations.
 *
 * Per sequence: restore the disk, mount, run, sync, look, close all files, look again, unmount; then mount and look
 * once more, with a cold cache, since only that reads what is really on the disk.
 *
 * Runs in the child process only; `KernelArm` in src/oracle is what the rest of the program sees.
 */
import { KERNEL_FS } from './kernels.ts'
import type { KernelFs, KernelName } from './kernels.ts'
import { errnoName } from './libc.ts'
import type { Libc } from './libc.ts'
import { MemoryDisk } from './memory-disk.ts'
import type { Segment } from './memory-disk.ts'
import { complaint, runSync } from './process.ts'
import { Scratch } from './scratch.ts'
import { Sequence } from './sequence.ts'
import type { Answer, KernelOperation } from './sequence.ts'
import { space, survey } from './survey.ts'
import type { Space, Surveyed } from './survey.ts'

/** Which kernel, on a disk of how many bytes, with blocks of how many bytes. */
export interface ArmOptions {
  readonly kernel: KernelName
  readonly sizeBytes: number
  readonly blockSize: number
}

/** What the kernel did with a sequence. */
export interface Outcome {
  /** The errno with which the kernel refused to mount the image; then all else is empty. */
  readonly refused?: string
  /** One answer per operation. */
  readonly answers: readonly Answer[]
  /** All names after a sync, with the sequence's files still open. */
  readonly files: readonly Surveyed[]
  /** Free space: after the mount; after a sync, files open; with all files closed and synced; after a remount. */
  readonly space: { readonly before: Space, readonly after: Space, readonly closed: Space, readonly cold: Space }
  /** Paths whose size or bytes were others after unmount and mount. Empty where the kernel keeps its word. */
  readonly changedCold: readonly string[]
}

const NOTHING: Space = { bsize: 0, blocks: 0, bfree: 0, ffree: 0 }

const refusal = (errno: number): Outcome => ({
  refused: errnoName(-errno),
  answers: [],
  files: [],
  space: { before: NOTHING, after: NOTHING, closed: NOTHING, cold: NOTHING },
  changedCold: [],
})

const sameBytes = (a: Surveyed, b: Surveyed): boolean => {
  if (a.size !== b.size || a.type !== b.type || a.target !== b.target) return false
  const [x, y] = [a.contents ?? [], b.contents ?? []]
  return x.length === y.length && x.every((segment, i) => {
    const other = y[i]
    return other !== undefined && segment.pos === other.pos && segment.bytes.equals(other.bytes)
  })
}

const changed = (warm: readonly Surveyed[], cold: readonly Surveyed[]): string[] => {
  const found = new Map(cold.map(file => [file.path, file]))
  const lost = warm.filter(file => {
    const other = found.get(file.path)
    found.delete(file.path)
    return other === undefined || !sameBytes(file, other)
  })
  return [...lost.map(file => file.path), ...found.keys()]
}

/** A kernel file system on a memory disk; see the file's contract. */
export class Arm {
  private readonly libc: Libc
  private readonly fs: KernelFs
  private readonly disk: MemoryDisk
  private readonly scratch: Scratch
  private readonly master: readonly Segment[]

  /** Makes the file system once and keeps what mkfs wrote. @throws Error if mkfs fails, with what it said */
  constructor(libc: Libc, options: ArmOptions) {
    this.libc = libc
    this.fs = KERNEL_FS[options.kernel]
    this.scratch = new Scratch('perform-write-arm')
    this.disk = new MemoryDisk(libc, options.sizeBytes)
    this.scratch.defer(() => this.disk.close())
    const args = [...this.fs.args(options.blockSize, options.sizeBytes), this.disk.device]
    const done = runSync(this.fs.mkfs, args)
    if (done.code !== 0) throw new Error(complaint(this.fs.mkfs, args, done))
    this.master = this.disk.capture()
  }

  /** Mount. @returns 0, or minus the errno */
  private mount(): number {
    return this.disk.mount(this.directory, this.fs.fsType, this.fs.options)
  }

  /**
   * Run `ops` on a fresh file system, or on a copy of the image file `image`.
   * @param payloads the bytes of the writes, by the index of the operation
   */
  run(ops: readonly KernelOperation[], payloads: ReadonlyMap<number, Buffer>, image?: string): Outcome {
    if (image === undefined) this.disk.restore(this.master)
    else this.disk.restoreFile(image)
    const mounted = this.mount()
    if (mounted < 0) return refusal(mounted)
    const warm = this.whileMounted(() => this.warm(ops, payloads))
    const again = this.mount()
    if (again < 0) return refusal(again)
    return this.whileMounted(() => ({
      answers: warm.answers,
      files: warm.files,
      space: { before: warm.before, after: warm.after, closed: warm.closed, cold: space(this.directory) },
      changedCold: changed(warm.files, survey(this.libc, this.directory)),
    }))
  }

  private whileMounted<A>(look: () => A): A {
    try {
      return look()
    } finally {
      this.disk.unmount(this.directory)
    }
  }

  private warm(ops: readonly KernelOperation[], payloads: ReadonlyMap<number, Buffer>) {
    const before = space(this.directory)
    const sequence = new Sequence(this.libc, this.directory)
    const empty = Buffer.alloc(0)
    try {
      const answers = ops.map((op, i) => sequence.run(op, payloads.get(i) ?? empty))
      sequence.sync()
      const after = space(this.directory)
      const files = survey(this.libc, this.directory)
      sequence.closeFiles()
      sequence.sync()
      return { before, answers, after, files, closed: space(this.directory) }
    } finally {
      sequence.close()
    }
  }

  /** Where the file system is mounted while a sequence runs. */
  get directory(): string {
    return this.scratch.directory
  }

  /** Detach the disk. */
  close(): void {
    this.scratch.close()
  }
}
