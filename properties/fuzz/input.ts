/**
 * Input: a seed with some of its bytes replaced, and perhaps cut off. Drawn from a number, so that the number is enough to
 * make it again; or read from a file of properties/corpus/images.
 */
import { Random } from '../../src/lab/workload/random.ts'
import { SEED_NAMES, type Seed, seedNamed } from './seeds.ts'

/** Bytes, as hexadecimal digits, that take the place of others. */
export interface Damage {
  readonly at: number
  readonly bytes: string
}

/** One image to be mounted. */
export interface Input {
  /** Name of a seed. */
  readonly seed: string
  readonly damage: readonly Damage[]
  /** Bytes of the device if it is cut off. */
  readonly size?: number
  /** What the user of the image draws from: designs, journal modes, which file is changed. */
  readonly play: number
}

/** Those without checksums come more often: behind a checksum there is little to find. */
const WEIGHTS: Readonly<Record<string, number>> = { 'ext4-checksums': 1, 'mke2fs-ext4-checksums': 1, 'mke2fs-ext4-plain': 1 }

const somewhere = (random: Random, { hot, image }: Seed): number => {
  if (random.below(20) === 0) return random.below(image.length)
  const { pos, len } = random.pick(random.pick(hot))
  // The beginning of a block says more than its end.
  return pos + (random.below(2) === 0 ? random.below(len) : random.below(Math.min(len, 128)))
}

const word = (value: number, size: 2 | 4): string => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes.toString('hex', 0, size)
}

const drawDamage = (random: Random, seed: Seed): Damage => {
  const { image, blockSize } = seed
  const at = somewhere(random, seed)
  const [at2, at4] = [at - (at % 2), at - (at % 4)]
  switch (random.below(7)) {
    case 0: return { at, bytes: Buffer.of(image[at]! ^ (1 << random.below(8))).toString('hex') }
    case 1: return { at, bytes: Buffer.of(random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)])).toString('hex') }
    case 2: return { at: at2, bytes: word(random.pick([0, 1, 0x7fff, 0x8000, 0xffff, random.below(65536)]), 2) }
    case 3: return { at: at4, bytes: word(random.pick([0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, random.bits()]), 4) }
    // A number of a block: crossed pointers, and circles.
    case 4: return { at: at4, bytes: word(random.below(image.length / blockSize), 4) }
    case 5: {
      const other = random.pick(random.pick(seed.hot))
      return { at: at4, bytes: word(Math.floor(other.pos / blockSize), 4) }
    }
    default: {
      const from = somewhere(random, seed)
      const len = random.pick([4, 8, 12, 60, 128, blockSize])
      return { at: at4, bytes: image.toString('hex', from - (from % 4), Math.min(image.length, from - (from % 4) + len)) }
    }
  }
}

/** Input number `n` of a run. */
export const drawInput = (run: number, n: number): Input => {
  const random = new Random(Math.imul(run, 0x9e3779b1) + n)
  const name = SEED_NAMES[random.weighted(SEED_NAMES.map((s) => WEIGHTS[s] ?? 4))]!
  const seed = seedNamed(name)
  const damage = Array.from({ length: 1 + random.below(random.pick([1, 3, 8])) }, () => drawDamage(random, seed))
  const play = random.bits()
  if (random.below(40) > 0) return { seed: name, damage, play }
  return { seed: name, damage, play, size: Math.max(512, random.below(seed.image.length / 512) * 512) }
}
