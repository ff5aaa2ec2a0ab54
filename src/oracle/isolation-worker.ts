/**
 * Isolation worker: one thread of the probe of a live file system: a writer, a reader, or the referee of two writers.
 *
 * A writer alternates between two letters over the whole of its range, so that a look is torn if it holds both. Where they meet is
 * counted by alignment. A thread runs until the shared stop word is set, gives back what it mapped and opened, and posts what it
 * counted. Started by isolation-probe.ts only.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { C, check, Libc } from '../host/libc.ts'
import { LETTERS } from './isolation-probe.ts'

/** What a thread does. */
export type Role = 'write' | 'append' | 'read' | 'direct' | 'load' | 'size' | 'meet' | 'referee'

/** What a thread is told. */
export interface Task {
  readonly role: Role
  readonly path: string
  /** Bytes. */
  readonly pos: number
  readonly len: number
  /** Of two writers that meet: the letter that this one writes. */
  readonly letter: number
  /** Words: stop, round, writes done in all rounds, threads that have begun. */
  readonly shared: SharedArrayBuffer
}

/** What a thread counted. */
export interface Counted {
  /** Looks at the file, and those that were torn (of `size`: that met a size on the way). */
  looks: number
  torn: number
  /** Places where two letters meet, or sizes on the way: at a multiple of 64 KiB, else of 4096, else of 64, else elsewhere. */
  at65536: number
  at4096: number
  at64: number
  elsewhere: number
  /** Set if the call is refused. */
  refused?: string
}

const [STOP, ROUND, DONE, BEGUN] = [0, 1, 2, 3]
/** Appends until the file is cut off again, in writes. */
const APPENDS = 16

const { role, path, pos, len, letter, shared } = workerData as Task
const words = new Int32Array(shared)
const counted: Counted = { looks: 0, torn: 0, at65536: 0, at4096: 0, at64: 0, elsewhere: 0 }
const goesOn = (): boolean => Atomics.load(words, STOP) === 0

const place = (at: number): void => {
  if (at % 65536 === 0) counted.at65536++
  else if (at % 4096 === 0) counted.at4096++
  else if (at % 64 === 0) counted.at64++
  else counted.elsewhere++
}

const libc = new Libc()

/** Memory in whole pages: O_DIRECT takes no other, and a copy to it does not tear at odd places of its own. */
const aligned = (): Buffer => libc.view(libc.mmap(len, C.PROT_READ | C.PROT_WRITE, C.MAP_PRIVATE | C.MAP_ANONYMOUS), len)

const whole = LETTERS.map((letterOf) => aligned().fill(letterOf))

/** Count one look at bytes that begin at `pos` of the file. */
const look = (bytes: Buffer): void => {
  counted.looks++
  if (bytes.equals(whole[0]!) || bytes.equals(whole[1]!)) return
  counted.torn++
  for (let at = 0; ;) {
    at = bytes.indexOf(bytes[at] === LETTERS[0] ? LETTERS[1] : LETTERS[0], at)
    if (at < 0) return
    place(pos + at)
  }
}

const write = (fd: number): void => {
  for (let i = 0; goesOn(); i++) writeSync(fd, whole[i % 2]!, 0, len, pos)
}

const append = (fd: number): void => {
  for (let i = 0; goesOn(); i++) {
    if (i % APPENDS === 0) ftruncateSync(fd, 0)
    writeSync(fd, whole[0]!, 0, len, (i % APPENDS) * len)
  }
}

const read = (fd: number, bytes: Buffer): void => {
  while (goesOn()) if (readSync(fd, bytes, 0, len, pos) === len) look(bytes)
}

/** Loads through a mapping: as the C library copies. */
const load = (fd: number, bytes: Buffer): void => {
  const address = libc.mmap(pos + len, C.PROT_READ, C.MAP_SHARED, fd)
  const mapped = libc.view(address, pos + len)
  while (goesOn()) {
    mapped.copy(bytes, 0, pos)
    look(bytes)
  }
  check('munmap', libc.call('munmap', address, BigInt(pos + len)))
}

const sizes = (fd: number): void => {
  while (goesOn()) {
    const { size } = fstatSync(fd)
    counted.looks++
    if (size % len === 0) continue
    counted.torn++
    place(size)
  }
}

/** One of two writers: both begin when the round does. It spins, so that they begin at once. */
const meet = (fd: number): void => {
  const own = whole[LETTERS.indexOf(letter as 0x41)]!
  for (let round = 1; goesOn(); round++) {
    while (Atomics.load(words, ROUND) < round && goesOn()) continue
    writeSync(fd, own, 0, len, pos)
    Atomics.add(words, DONE, 1)
    Atomics.notify(words, DONE)
  }
}

/** Begins rounds, and looks when both have written. */
const referee = (fd: number, bytes: Buffer): void => {
  for (let round = 1; goesOn(); round++) {
    Atomics.store(words, ROUND, round)
    for (let done = Atomics.load(words, DONE); done < 2 * round && goesOn(); done = Atomics.load(words, DONE)) {
      Atomics.wait(words, DONE, done, 100)
    }
    if (Atomics.load(words, DONE) === 2 * round && readSync(fd, bytes, 0, len, pos) === len) look(bytes)
  }
}

const main = (): void => {
  const fd = openSync(path, role === 'direct' ? constants.O_RDONLY | constants.O_DIRECT : constants.O_RDWR)
  Atomics.add(words, BEGUN, 1)
  try {
    switch (role) {
      case 'write': return write(fd)
      case 'append': return append(fd)
      case 'read': case 'direct': return read(fd, aligned())
      case 'load': return load(fd, aligned())
      case 'size': return sizes(fd)
      case 'meet': return meet(fd)
      case 'referee': return referee(fd, aligned())
    }
  } finally {
    closeSync(fd)
  }
}

try {
  main()
} catch (error) {
  counted.refused = (error as Error).message
}
parentPort?.postMessage(counted)
