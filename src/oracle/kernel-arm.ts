/**
 * Kernel arm: the same operations through a file system of the running kernel.
 *
 * The other arm is our own pipeline. A model that nobody compared with the kernel proves nothing, so both run the same
 * sequence and their outcomes are laid side by side: every return value and errno, then sizes, bytes, holes, st_blocks
 * and free space.
 *
 * Interface:
 * - `available(kernel)` first; it says in one line what is missing.
 * - One arm is one child process with one file system; `runSequence` starts from a fresh copy each time. Calls queue.
 * - `close` at the end. If the process dies first, mounts and loop devices go with it.
 */
import { availability } from '../host/availability.ts'
import type { Availability } from '../host/availability.ts'
import type { ArmOptions, Outcome } from '../host/arm.ts'
import { Child } from '../host/child.ts'
import { KERNEL_FS } from '../host/kernels.ts'
import type { KernelName } from '../host/kernels.ts'
import type { Measured, MeasureOptions } from '../host/measure.ts'
import type { KernelOperation } from '../host/sequence.ts'

export type { ArmOptions, Outcome } from '../host/arm.ts'
export { KERNELS } from '../host/kernels.ts'
export type { KernelName } from '../host/kernels.ts'
export type { Measured, MeasureOptions } from '../host/measure.ts'
export type { Answer, KernelOperation } from '../host/sequence.ts'
export type { Surveyed } from '../host/survey.ts'

/** The bytes of the write that is operation number `index`, `len` of them. */
export type Payload = (index: number, len: number) => Buffer

/** Bytes that an operation takes from its payload. */
const payloadLength = (op: KernelOperation): number => {
  if (op.op === 'write' || op.op === 'mmap-write') return op.len
  return op.op === 'writev' ? op.lens.reduce((sum, n) => sum + n, 0) : 0
}

/** A file system of the running kernel; see the file's contract. */
export class KernelArm {
  private readonly child: Child

  private constructor(child: Child) {
    this.child = child
  }

  /** Can this machine mount `kernel` and run operations on it? */
  static available(kernel: KernelName): Availability {
    const { mkfs, from } = KERNEL_FS[kernel]
    return availability({ linux: true, root: true, loop: true, ffi: true, programs: { [mkfs]: from } })
  }

  /**
   * Start a child with a fresh file system. `sizeBytes` is raised to what the kernel's mkfs needs.
   * @throws Error in one line, if the arm is not available or mkfs fails
   */
  static async open(options: ArmOptions): Promise<KernelArm> {
    const can = KernelArm.available(options.kernel)
    if (!can.ok) throw new Error(`kernel arm ${options.kernel} is unavailable: ${can.why}`)
    const child = new Child()
    try {
      const sizeBytes = Math.max(options.sizeBytes, KERNEL_FS[options.kernel].minBytes)
      await child.ask('open', { ...options, sizeBytes })
      return new KernelArm(child)
    } catch (error) {
      await child.close().catch(() => undefined)
      throw error
    }
  }

  /**
   * Run operations on a fresh file system, or on a copy of `image` (no larger than `sizeBytes`).
   * @throws Error if the child ends or a file cannot be read back
   */
  runSequence(ops: readonly KernelOperation[], payload: Payload, image?: string): Promise<Outcome> {
    const payloads = new Map<number, Buffer>()
    ops.forEach((op, i) => {
      const len = payloadLength(op)
      if (len > 0) payloads.set(i, payload(i, len))
    })
    return this.child.ask('run', { ops, payloads, ...(image === undefined ? {} : { image }) })
  }

  /** Unmount, detach, end the child. */
  close(): Promise<void> {
    return this.child.close()
  }
}

/** Can this machine count trace events on `kernel`? */
export const canMeasure = (kernel: KernelName): Availability => {
  const can = KernelArm.available(kernel)
  return can.ok ? availability({ tracefs: true }) : can
}

/**
 * Count the kernel's own steps in a write loop, per MiB, under the keys of the calibration table (`WRITE_KEYS` and
 * `FSYNC_KEYS` in src/host/measure.ts).
 * @throws Error in one line, if that is not available or the kernel refuses
 */
export const measureKernel = async (options: MeasureOptions): Promise<Measured> => {
  const can = canMeasure(options.fs)
  if (!can.ok) throw new Error(`counting on ${options.fs} is unavailable: ${can.why}`)
  const child = new Child()
  try {
    return await child.ask('measure', options)
  } finally {
    await child.close().catch(() => undefined)
  }
}
