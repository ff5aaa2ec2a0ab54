/**
 * The kernel as a judge of crash states: mount the unrepaired device, read back what was promised, unmount.
 *
 * Nobody replays or repairs before: recovery is the mount's. What is found under the root is walked; each file that the recording
 * knows, by inode number and generation, is held against what may stand in it, and promised names against the directories. A state that
 * cannot be mounted is a finding.
 *
 * The loop device stays attached (host/memory-disk.ts) and only blocks that differ are written. Without a journal the mount is
 * read-only and changes nothing; with one the disk is compared and brought back after it.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { type Availability, availability } from '../host/availability.ts'
import { errnoName, Libc } from '../host/libc.ts'
import { isolate, MemoryDisk, type Segment } from '../host/memory-disk.ts'
import { Scratch } from '../host/scratch.ts'
import type { ImageJudge, WholeState } from '../lab/crash/crash.ts'
import { type Declared, declared } from '../lab/crash/declared.ts'
import type { FileAt, Finding } from '../lab/crash/expect.ts'
import { digestOf, type Judged } from '../lab/crash/judge.ts'
import { formatOf, type Recording } from '../lab/crash/record.ts'

/** FS_IOC_GETVERSION, include/uapi/linux/fs.h: the generation of an inode. */
const GETVERSION = 0x80087601n
const CHUNK = 1 << 16

let isolated = false

/** A file or directory in the mounted tree. */
interface Seen {
  readonly path: string
  readonly ino: number
  readonly isDirectory: boolean
}

/** The kernel on crash states. Needs root, loop devices and node:ffi. */
export class CrashKernelJudge implements ImageJudge {
  readonly #recording: Recording
  readonly #libc = new Libc()
  readonly #scratch = new Scratch('perform-write-crash')
  readonly #disk: MemoryDisk
  readonly #held: Buffer
  readonly #root: string
  readonly #mode: Declared
  readonly #generation = Buffer.alloc(8)

  constructor(recording: Recording) {
    this.#recording = recording
    this.#mode = declared[recording.mode]
    if (!isolated) isolate(this.#libc)
    isolated = true
    this.#held = recording.first.image()
    this.#disk = new MemoryDisk(this.#libc, this.#held.length)
    this.#disk.patch([{ pos: 0, bytes: this.#held }])
    this.#root = this.#scratch.path('root')
    mkdirSync(this.#root)
  }

  static available(): Availability {
    return availability({ linux: true, root: true, loop: true, ffi: true })
  }

  async judge({ blocks, expected }: WholeState): Promise<Judged> {
    this.#hold(blocks)
    const hasJournal = this.#recording.layout.journalIno !== 0
    const done = hasJournal
      ? this.#disk.mount(this.#root, 'ext4', this.#recording.mode.split(',')[1]!)
      : this.#disk.mountReadOnly(this.#root, formatOf(this.#recording.mode))
    if (done < 0) {
      // A superblock whose sums or times are torn apart is refused: where nothing orders metadata that may be.
      const finding = made('I28', `the kernel does not mount it: ${errnoName(-done)}`, this.#mode.structure)
      return { promises: 1, recovered: false, findings: [finding] }
    }
    const findings: Finding[] = []
    let promises = 0
    try {
      const seen = new Map(this.#walk('', findings).map((s) => [s.ino, s]))
      for (const f of expected.files) promises += this.#file(f, seen.get(f.ino), findings)
      for (const d of expected.directories) {
        promises += d.promises
        const at = seen.get(d.ino)
        findings.push(...d.check(at === undefined ? null : this.#names(at.path)))
      }
    } finally {
      this.#disk.unmount(this.#root)
    }
    return { promises, recovered: hasJournal && this.#bringBack(), findings }
  }

  #hold(blocks: ReadonlyMap<number, Buffer>): void {
    const segments: Segment[] = []
    const { blockSize } = this.#recording.log
    for (const [nr, bytes] of blocks) {
      const pos = nr * blockSize
      if (this.#held.compare(bytes, 0, bytes.length, pos, pos + bytes.length) === 0) continue
      bytes.copy(this.#held, pos)
      segments.push({ pos, bytes })
    }
    this.#disk.patch(segments)
  }

  /** Undo what the mount wrote. @returns true if it did more than touch the superblock */
  #bringBack(): boolean {
    const now = this.#disk.view()
    const segments: Segment[] = []
    for (let pos = 0; pos < now.length; pos += CHUNK) {
      const n = Math.min(CHUNK, now.length - pos)
      if (now.compare(this.#held, pos, pos + n, pos, pos + n) !== 0) segments.push({ pos, bytes: this.#held.subarray(pos, pos + n) })
    }
    this.#disk.patch(segments)
    return segments.some(({ pos }) => pos > 0)
  }

  /** All below the root; what cannot be read is a finding where the structure is promised. */
  #walk(path: string, findings: Finding[]): Seen[] {
    const full = join(this.#root, path)
    let fd: number
    try {
      fd = openSync(full, 'r')
    } catch (e) {
      findings.push(made('I28', `${path}: ${(e as NodeJS.ErrnoException).code ?? 'cannot be opened'}`, this.#mode.structure))
      return []
    }
    try {
      const stat = fstatSync(fd)
      const self = { path, ino: stat.ino, isDirectory: stat.isDirectory() }
      if (!self.isDirectory) return [self]
      const below = readdirSync(full, { withFileTypes: true })
      const names = below.filter((e) => e.isFile() || e.isDirectory()).map((e) => (path === '' ? e.name : `${path}/${e.name}`))
      return [self, ...names.flatMap((name) => this.#walk(name, findings))]
    } catch (e) {
      findings.push(made('I28', `${path}: ${(e as NodeJS.ErrnoException).code ?? 'cannot be read'}`, this.#mode.structure))
      return []
    } finally {
      closeSync(fd)
    }
  }

  /** Names of a directory with the inode numbers that stand in it (getdents64(2)); whether those can be opened is another question. */
  #names(path: string): ReadonlyMap<string, number> | null {
    const names = new Map<string, number>()
    const fd = openSync(join(this.#root, path), 'r')
    const entries = Buffer.alloc(1 << 16)
    try {
      for (;;) {
        const n = this.#libc.call('getdents64', fd, entries, BigInt(entries.length))
        if (n < 0) return null
        if (n === 0) return names
        for (let at = 0; at < n; at += entries.readUInt16LE(at + 16)) {
          const name = at + 19
          names.set(entries.toString('utf8', name, entries.indexOf(0, name)), Number(entries.readBigUInt64LE(at)))
        }
      }
    } finally {
      closeSync(fd)
    }
  }

  /** @returns promises that were looked at */
  #file(f: FileAt, at: Seen | undefined, findings: Finding[]): number {
    // Without a name it cannot be opened: whether it must have one is asked of its directory.
    if (at === undefined || at.isDirectory) return 0
    let fd = -1
    try {
      fd = openSync(join(this.#root, at.path), 'r')
      if (f.generation !== null && this.#libc.call('ioctl', fd, GETVERSION, this.#generation) === 0 &&
        this.#generation.readUInt32LE(0) !== f.generation) return 0
      const { size } = fstatSync(fd)
      const wrong = f.size(size)
      if (wrong !== null) findings.push(wrong)
      this.#contents(f, fd, size, findings)
    } catch (e) {
      findings.push({ ...f.broken(`${at.path}: ${(e as NodeJS.ErrnoException).code ?? String(e)}`) })
    } finally {
      if (fd >= 0) closeSync(fd)
    }
    return f.promises
  }

  #contents(f: FileAt, fd: number, size: number, findings: Finding[]): void {
    const { blockSize } = this.#recording.log
    const isLenient = this.#mode.rewritten && !f.isSettled
    for (let pos = 0, wrong = 0; pos < size && wrong < 3; pos += blockSize) {
      const bytes = Buffer.alloc(blockSize)
      readSync(fd, bytes, 0, Math.min(blockSize, size - pos), pos)
      const what = f.block(pos / blockSize, digestOf(bytes), bytes.every((b) => b === 0) ? null : bytes, size)
      if (what === null) continue
      wrong++
      findings.push(isLenient ? { ...what, declared: true } : what)
    }
  }

  close(): void {
    this.#disk.close()
    this.#scratch.close()
  }
}

const made = (claim: string, what: string, isDeclared: boolean): Finding => ({ claim, what, declared: isDeclared })
