/**
 * Hook: a process in which one mutant is alive.
 *
 * Interface: `install(id)` before anything of src is imported; or from outside
 *   MUTANT=Z55 node --import ./properties/mutants/hook.ts FILE
 * A file of the mutant is patched when it is loaded, before its types are stripped. A file that is in memory already cannot
 * be patched any more: install throws if the patched text was not found, `unpatched` names the files that nobody loaded.
 */
import { registerHooks } from 'node:module'
import { mutant } from './index.ts'
import { apply, type Mutant, patchesOf } from './mutant.ts'

const ROOT = new URL('../../', import.meta.url).href
const waiting = new Set<string>()

/** Let the mutant `id` live in this thread from now on. @throws Error if there is no such mutant */
export const install = (id: string): void => patchWith(mutant(id))

/** As `install`, for a mutant of another catalogue. */
export const patchWith = (m: Pick<Mutant, 'id' | 'patch'>): void => {
  for (const p of patchesOf(m)) waiting.add(p.file)
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      const file = url.startsWith(ROOT) ? url.slice(ROOT.length).replace(/[?#].*$/, '') : ''
      if (!waiting.delete(file)) return loaded
      const source = typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString()
      return { ...loaded, source: apply(m, file, source) }
    },
  })
}

/** Files of the mutant that were not loaded yet: what ran so far ran without it. */
export const unpatched = (): readonly string[] => [...waiting].sort()

const id = process.env['MUTANT']
if (id !== undefined && id !== '') install(id)
