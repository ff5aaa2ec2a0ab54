/** The work of one thread of `check`: find the design, run one share. Imported only after a mutant, if any, is in place. */
import { type Ask, runShare, type Share, type ShareProgress } from '../../properties/check.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import { designFor } from './plugin.ts'

/** What a verdict has to know of a design: its name, what it claims and which hooks it has, without code. */
export type Described = Pick<AnyStrategy, 'name' | 'summary' | 'source' | 'unit' | 'copy' | 'claims'>

/** What a thread answers. */
export interface Done {
  readonly design: Described
  readonly share: Share
}

/** Run share number `share`; `loaded` is told the design once it is there. @throws UsageError if there is none */
export const runTask = async (
  design: string, ask: Ask, share: number, loaded: (design: Described) => void, say: (p: ShareProgress) => void,
): Promise<Done> => {
  const strategy = await designFor(design)
  const { name, summary, source, unit, copy, claims } = strategy
  const described = { name, summary, source, unit, copy, claims }
  loaded(described)
  return { design: described, share: runShare(strategy, ask, share, say) }
}
