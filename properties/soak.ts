/**
 * soak: a long run. So many random steps on every strategy and format, each answer compared with the model, each image
 * judged by e2fsck.
 *
 *   node properties/soak.ts --operations 100000 [--seed 1] [--strategy NAME] [--format ext2|ext4]
 *     [--journal ordered|writeback|journal] [--checks] [--full]
 *
 * A run is made of many small file systems, each with a setting drawn from the seed, so that a difference comes with
 * few steps. At the first one the steps are cut down and printed with their setting, ready for properties/corpus.
 * Exit code: 0 nothing differs, 1 something does, 2 usage.
 *
 * With --full each device is so small that it fills, and a call may fail with ENOSPC (I26).
 *
 * Claims: I8, I9, I11 to I14, I18, I19 by the model; I1 to I6 with --checks; the format's own by e2fsck.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { DATA_MODES, type DataMode } from '../src/fs/journal/journal.ts'
import { FORMATS, type FormatName } from '../src/lab/session.ts'
import { Random } from '../src/lab/workload/random.ts'
import { strategies } from '../src/strategies/index.ts'
import { decode, type RawStep, RAW_BELOW, type Step } from './arbitraries/steps.ts'
import { imageOf } from './checks.ts'
import { describe, Machine, type MachineOptions, mayBeFull, type Setting } from './machine.ts'

/** Steps on one file system. */
const STEPS = 400

/** One file system of a long run: its setting and its steps, by seed. */
export const drawCase = (
  seed: number, strategy: string, format: FormatName, full = false, journal?: DataMode,
): { setting: Setting; steps: Step[] } => {
  const random = new Random(seed)
  const setting: Setting = {
    strategy, format, ...(journal !== undefined && { journal }),
    ...(full && { size: random.pick([512, 1024, 2048]) * 1024 }),
    blockSize: random.pick([1024, 2048, 4096]),
    maxFolioOrder: random.pick([0, 1, 2, 4, 9]),
    limitPages: random.pick([256, 512, 1024, 4096]),
    ...(random.below(2) === 0 && { waiting: true }),
  }
  const raws = Array.from({ length: STEPS }, () => RAW_BELOW.map((n) => random.below(n)) as unknown as RawStep)
  return { setting, steps: decode(raws, { blockSize: setting.blockSize, far: !full }) }
}

/** Play a case. @returns null, or what is wrong */
export const playCase = (
  setting: Setting, steps: readonly Step[], checks: MachineOptions, fsck: boolean,
): string | null => {
  try {
    const machine = new Machine(setting, checks)
    return machine.play(steps) ?? machine.finish() ?? (fsck ? e2fsck(imageOf(machine.session)) : null)
  } catch (e) {
    return e instanceof Error ? `threw ${e.stack ?? e.message}` : String(e)
  }
}

/** The verdict of `e2fsck -fn` on an image. @returns null if it is accepted, else the first lines of what it says */
export const e2fsck = (image: Buffer): string | null => {
  const folder = mkdtempSync(join(tmpdir(), 'soak-'))
  const path = join(folder, 'image')
  try {
    writeFileSync(path, image)
    execFileSync('e2fsck', ['-fn', path], { stdio: 'pipe' })
    return null
  } catch (e) {
    const { stdout } = e as { stdout?: Buffer }
    if (stdout === undefined) throw e
    return `e2fsck: ${stdout.toString().split('\n').slice(0, 8).join(' | ')}`
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Leave out what is not needed to fail: halves, quarters, ... single steps. */
export const shrink = (steps: readonly Step[], fails: (steps: readonly Step[]) => boolean): Step[] => {
  let best = [...steps]
  for (let part = best.length >> 1; part >= 1; part = part === 1 ? 0 : part >> 1) {
    for (let at = 0; at < best.length; ) {
      const without = [...best.slice(0, at), ...best.slice(at + part)]
      if (fails(without)) best = without
      else at += part
    }
  }
  return best
}

/** One strategy on one format. @returns null, or the report of the first difference */
const soak = (
  strategy: string, format: FormatName, operations: number, seed: number, checks: MachineOptions, journal?: DataMode,
): string | null => {
  let done = 0
  let images = 0
  for (let n = 0; done < operations; n++) {
    const { setting, steps } = drawCase(Math.imul(seed, 0x9e3779b1) + n, strategy, format, checks.mayFail !== undefined, journal)
    const wrong = playCase(setting, steps, checks, true)
    if (wrong !== null) {
      const failing = shrink(steps, (fewer) => playCase(setting, fewer, checks, wrong.startsWith('e2fsck')) !== null)
      const last = playCase(setting, failing, checks, wrong.startsWith('e2fsck'))
      return `${strategy} on ${format}, seed ${seed}, file system ${n}:\n${last ?? wrong}\n${describe(setting, failing)}`
    }
    done += steps.length
    images++
  }
  console.error(`${strategy} on ${format}: ${done} operations, ${images} images, 0 differences`)
  return null
}

const main = (): number => {
  const { values } = parseArgs({
    options: {
      operations: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' },
      strategy: { type: 'string' }, format: { type: 'string' }, checks: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false }, journal: { type: 'string' },
    },
  })
  const operations = Number(values.operations)
  const seed = Number(values.seed)
  if (!Number.isInteger(operations) || operations < 1 || !Number.isInteger(seed)) {
    console.error('soak: --operations and --seed must be whole numbers, as in --operations 100000 --seed 1')
    return 2
  }
  const journal = DATA_MODES.find((m) => m === values.journal)
  if (values.journal !== undefined && journal === undefined) {
    console.error(`soak: --journal is one of ${DATA_MODES.join(', ')}`)
    return 2
  }
  const checks: MachineOptions = {
    cache: values.checks, space: values.checks, ...(values.full && { mayFail: mayBeFull }),
  }
  let failed = 0
  for (const { name } of strategies.filter((s) => values.strategy === undefined || s.name === values.strategy)) {
    for (const format of FORMATS.filter((f) => values.format === undefined || f === values.format)) {
      const wrong = soak(name, format, operations, seed, checks, journal)
      if (wrong === null) continue
      failed++
      console.error(`FAILED ${wrong}\n`)
    }
  }
  return failed === 0 ? 0 : 1
}

if (import.meta.main) process.exitCode = main()
