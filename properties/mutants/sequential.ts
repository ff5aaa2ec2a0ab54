/**
 * Sequential: does one process see it, with readable memory, on a disk with room, with nothing failing?
 *
 * Random steps on the patched sources beside the byte model, with every check that the properties make. What no sequence
 * shows needs a fault, a short source or somebody else, as an entry that is not `sequential` says.
 */
import '../../src/index.ts'
import { Random } from '../../src/lab/workload/random.ts'
import { decode, type RawStep, RAW_BELOW } from '../arbitraries/steps.ts'
import { Machine, type Setting, describe } from '../machine.ts'

/** What to run. */
export interface Question {
  readonly strategy: string
  readonly seed: number
  /** At least so many steps in all. */
  readonly operations: number
}

const STEPS = 60

/** @returns null, or the first difference with its setting and steps */
export const run = ({ strategy, seed, operations }: Question): string | null => {
  let done = 0
  for (let n = 0; done < operations; n++) {
    const random = new Random(Math.imul(seed, 0x9e3779b1) + n)
    const setting: Setting = {
      strategy, format: random.pick(['ext2', 'ext4']), blockSize: random.pick([1024, 2048, 4096]),
      maxFolioOrder: random.pick([0, 1, 2, 9]), size: 16 * 1024 * 1024, limitPages: random.pick([256, 1024]),
      ...(random.below(2) === 0 && { waiting: true }),
    }
    const raws = Array.from({ length: STEPS }, () => RAW_BELOW.map((b) => random.below(b)) as unknown as RawStep)
    const steps = decode(raws, { blockSize: setting.blockSize })
    const wrong = play(setting, steps)
    if (wrong !== null) return `${wrong}\n${describe(setting, steps)}`
    done += steps.length
  }
  return null
}

const play = (setting: Setting, steps: ReturnType<typeof decode>): string | null => {
  try {
    const machine = new Machine(setting, { cache: true, space: true })
    return machine.play(steps) ?? machine.finish()
  } catch (e) {
    return e instanceof Error ? `threw ${e.message}` : String(e)
  }
}
