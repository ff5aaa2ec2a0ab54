/** Poison: freed blocks are overwritten, so that whoever reads them as data is found out. An instrument, not a cost. */
import { Bio, submitAndWait } from '../../block/bio.ts'
import { attempt, type Kernel } from '../../kernel/kernel.ts'
import { PageVec } from '../../kernel/page-vec.ts'
import type { BlockNr } from '../../kernel/units.ts'
import type { BufferCache } from '../buffer-cache.ts'

/** What stands at the start of each block that was poisoned; the number of the block follows, then 0xAA. */
export const POISON_TAG = 'freed block '

/** Overwrite blocks while no new owner can have them. Not counted, and a failure changes nothing. */
export function* poison({ device, blockSize }: BufferCache, start: BlockNr, n: number): Kernel<void> {
  const most = Math.ceil((1 << 20) / blockSize)
  for (let done = 0; done < n; done += most) {
    const count = Math.min(most, n - done)
    const bytes = Buffer.alloc(count * blockSize, 0xaa)
    for (let i = 0; i < count; i++) bytes.write(`${POISON_TAG}${start + done + i}\n`, i * blockSize)
    const bio = new Bio('write', (start + done) * blockSize, PageVec.of(bytes))
    yield* attempt(() => submitAndWait(device, bio))
  }
}
