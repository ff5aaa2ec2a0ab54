/** compare --scene: one play of the fault pass, step by step, for each design on each ground. */
import { CLAIMS } from '../lab/claims.ts'
import { type Fixed, groundDevice } from '../lab/fault-pass.ts'
import { play } from '../lab/play.ts'
import { scene, SCENES } from '../lab/scene.ts'
import { wrap } from '../report/table.ts'
import { EXIT, UsageError } from './errors.ts'
import { designFor } from './plugin.ts'

/** Play one scene, `name[@n][!]`, and print what happened. @returns the exit code */
export const playScene = async (designs: readonly string[], grounds: readonly Fixed[], spec: string): Promise<number> => {
  const [, name = '', at = '', sticky] = /^([a-z-]+)((?:@\d+)*)(!)?$/.exec(spec) ?? []
  const found = scene(name)
  if (found === undefined) {
    const known = SCENES.map((s) => s.name).join(', ')
    throw new UsageError(`--scene ${spec}: no such scene; known are ${known}; add @N for the N-th fault site`)
  }
  let code: number = EXIT.pass
  for (const fixed of grounds) {
    for (const design of designs) {
      const strategy = await designFor(design)
      const fail = at.split('@').slice(1).map(Number)
      const plan = { fail, sticky: sticky === '!' }
      const p = play(found, { strategy, device: groundDevice(fixed), maxFolioOrder: fixed.folioOrder }, plan)
      process.stdout.write(`${strategy.name}, scene ${found.name}: ${found.from}\n`)
      p.timeline.forEach((line, i) => process.stdout.write(`${wrap(`${String(i + 1).padStart(4)}  ${line}`, 6)}\n`))
      const missed = fail.filter((n) => n >= p.reached.length).join(' and ')
      if (missed !== '') process.stdout.write(`      fault site ${missed} was not reached\n`)
      process.stdout.write(`      fault sites: ${p.reached.map((site, i) => `${i} ${site}`).join(', ') || 'none'}\n\n`)
      const broken = p.findings.filter((f) => CLAIMS.find((c) => c.id === f.claim)?.declared?.(strategy) !== true)
      if (broken.length > 0) code = EXIT.failed
    }
  }
  return code
}
