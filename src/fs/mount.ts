/** Mount: the parts that a FileSystem is put together from. What a user says is in src/lab/session.ts. */
import type { BlockDevice } from '../block/device.ts'
import type { Format } from './format.ts'
import type { Journal } from './journal/journal.ts'
import type { Quota } from './quota.ts'
import type { AnyStrategy } from './strategy.ts'
import type { Verbs } from './verbs.ts'

/** What a mount is made of. */
export interface Mount {
  readonly format: Format
  readonly device: BlockDevice
  readonly verbs: Verbs
  readonly strategy: AnyStrategy
  /** Bios carry T10 protection information; the device must keep it (ProtectedDevice). Default false. */
  readonly protection?: boolean
  /** Share of the memory limit that may be dirty before writers are throttled; default 0.4. */
  readonly dirtyRatio?: number
  /** Block quota, checked (`quotaCheck`) already; default none. */
  readonly quota?: Quota | null
  /** The journal, empty; default: none, and a crash is for e2fsck. */
  readonly journal?: Journal | null
}
