/**
 * Quick: does the fault pass of `compare` see a mutant? One call at a time, every fault once and for good; no interleavings,
 * no crashes. Run on the patched sources by `runWithMutant`.
 */
import { type Fixed, groundDevice, playsOf, sayReplay } from '../../src/lab/fault-pass.ts'
import { SCENES } from '../../src/lab/scene.ts'
import { strategies } from '../../src/strategies/index.ts'

/** Which design, and which claim is to see it. */
export interface Quick {
  readonly strategy: string
  readonly claim: string
  readonly fixed: readonly Fixed[]
  /** Names of scenes; default all. */
  readonly scenes?: readonly string[]
}

/** What was found: the play that broke the claim, and the claims that were broken until then. */
export interface QuickKill {
  readonly by: string | null
  readonly what: string | null
  readonly others: readonly string[]
  readonly plays: number
}

/** Play until the claim is broken, or all. */
export const run = ({ strategy: name, claim, fixed, scenes }: Quick): QuickKill => {
  const strategy = strategies.find((s) => s.name === name)!
  const others = new Set<string>()
  let plays = 0
  for (const f of fixed) {
    const ground = { strategy, device: groundDevice(f), maxFolioOrder: f.folioOrder }
    for (const scene of SCENES.filter((x) => scenes?.includes(x.name) ?? true)) {
      for (const p of playsOf(scene, ground)) {
        plays++
        const found = p.findings.find((x) => x.claim === claim)
        if (found !== undefined) {
          const by = `${f.format}/${f.blockSize}/${f.folioOrder} ${sayReplay(p)}`
          return { by, what: found.what, others: [...others].sort(), plays }
        }
        for (const x of p.findings) others.add(x.claim)
      }
    }
  }
  return { by: null, what: null, others: [...others].sort(), plays }
}
