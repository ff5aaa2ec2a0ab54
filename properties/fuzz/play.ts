/**
 * Play one input: mount the image, walk its tree, read, write, sync, unmount, mount again. Whatever the image says, each
 * call must answer: with a value or an errno.
 *
 * Findings: anything thrown (only bugs throw), a bio that leaves the device, more bios than the image can be worth.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import type { Posix } from '../../src/fs/posix.ts'
import { DATA_MODES } from '../../src/fs/journal/journal.ts'
import { mount, type MountOptions } from '../../src/lab/session.ts'
import { Random } from '../../src/lab/workload/random.ts'
import { strategies } from '../../src/strategies/index.ts'
import { FuzzDevice } from './device.ts'
import type { Input } from './input.ts'
import { seedNamed } from './seeds.ts'

const MOST_BIOS = 20_000
const MOST_NAMES = 30
const MOST_READ = 10
const MOST_DEPTH = 4

const devices = new Map<string, FuzzDevice>()

/** The device of an input, damaged. */
export const deviceOf = ({ seed, damage, size }: Input): FuzzDevice => {
  let device = devices.get(seed)
  if (device === undefined) devices.set(seed, (device = new FuzzDevice(seedNamed(seed).image, MOST_BIOS)))
  device.reset()
  for (const { at, bytes } of damage) device.damage(at, Buffer.from(bytes, 'hex'))
  if (size !== undefined) device.cut(size)
  return device
}

/** How far an input came. */
export interface Played {
  /** One line, or null if there is nothing to find. */
  readonly finding: string | null
  readonly mounted: boolean
}

/** Play one input. */
export const play = (input: Input): Played => {
  const device = deviceOf(input)
  let mounted = false
  try {
    mounted = use(device, new Random(input.play))
  } catch (e) {
    return { mounted, finding: e instanceof Error ? told(e) : String(e) }
  }
  return { mounted, finding: device.outside > 0 ? `${device.outside} bios left the device` : null }
}

/** The error, and the innermost places of ours. */
const told = ({ name, message, stack = '' }: Error): string => {
  const places = stack.split('\n').filter((line) => line.includes('/src/')).map((line) => line.trim().replace(/\(.*\/src\//, '(src/'))
  return [`${name}: ${message}`, ...places.slice(0, 4)].join(' | ')
}

/** @returns was it mounted? */
const use = (device: FuzzDevice, random: Random): boolean => {
  const options: MountOptions = {
    strategy: random.pick(strategies), errors: 'raise', limitPages: 64, slabPages: 16, maxFolioOrder: 2,
    journal: random.pick(['none' as const, ...DATA_MODES]),
  }
  const session = mount(device, options)
  if (isLeft(session)) return false
  const { posix } = session.right
  const paths = walk(posix)
  for (let i = 0; i < Math.min(paths.length, MOST_READ); i++) look(posix, random.pick(paths))
  for (let i = 0; i < 6; i++) change(posix, random, paths, i)
  posix.sync()
  posix.statfs()
  posix.unmount()
  if (random.below(4) > 0) return true
  const again = mount(device, { ...options, readOnly: true })
  if (!isLeft(again)) walk(again.right.posix)
  return true
}

/** Paths of what the tree shows, at most so many. */
const walk = (posix: Posix): string[] => {
  const found: string[] = []
  const go = (dir: string, depth: number): void => {
    const listed = posix.readdir(dir)
    if (isLeft(listed)) return
    for (const { name } of listed.right) {
      if (found.length >= MOST_NAMES) return
      if (name === '.' || name === '..' || name === '' || name.includes('/') || name.includes('\0')) continue
      const path = dir === '/' ? name : `${dir}/${name}`
      found.push(path)
      if (depth < MOST_DEPTH) go(path, depth + 1)
    }
  }
  go('/', 0)
  return found
}

const page = Buffer.alloc(4096)

const look = (posix: Posix, path: string): void => {
  const stat = posix.stat(path, false)
  posix.readlink(path)
  const fd = isLeft(stat) ? stat : posix.open(path, ['O_RDONLY'])
  if (isLeft(fd) || isLeft(stat)) return
  for (const pos of [0, 8192, Math.max(0, stat.right.size - 100)]) posix.pread(fd.right, page, pos)
  posix.lseek(fd.right, 0, 'data')
  posix.lseek(fd.right, 0, 'hole')
  posix.close(fd.right)
}

const change = (posix: Posix, random: Random, paths: readonly string[], i: number): void => {
  const path = paths.length === 0 ? 'nothing' : random.pick(paths)
  const other = paths.length === 0 ? 'nothing' : random.pick(paths)
  switch (random.below(8)) {
    case 0: return void posix.unlink(path)
    case 1: return void posix.rename(path, random.below(2) === 0 ? other : `${other}/moved ${i}`)
    case 2: return void posix.truncate(path, random.pick([0, 100, 5000, 100_000]))
    case 3: return void posix.mkdir(`${path}/made ${i}`)
    case 4: return void posix.link(path, `linked ${i}`)
    case 5: return void posix.rmdir(path)
    default: return write(posix, random, random.below(3) === 0 ? `new ${i}` : path)
  }
}

const write = (posix: Posix, random: Random, path: string): void => {
  const fd = posix.open(path, ['O_RDWR', 'O_CREAT'])
  if (isLeft(fd)) return
  const size = posix.lseek(fd.right, 0, 'end')
  const end = isLeft(size) ? 0 : size.right
  for (let i = 0; i < 3; i++) posix.pwrite(fd.right, page, random.pick([0, 3000, 40_000, end]), 0, random.pick([10, 1024, 4096]))
  if (random.below(3) === 0) posix.fallocate(fd.right, 'punch', 1024, 9000)
  if (random.below(2) === 0) posix.fsync(fd.right)
  posix.close(fd.right)
}
