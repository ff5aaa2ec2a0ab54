/**
 * npm run isolation: declared and measured isolation, per design and observer, beside live file systems. About two minutes.
 *
 * Options: --write (renew docs/isolation.md); --kernel FS (ext4, ext2, xfs, btrfs, tmpfs; may be given again): probe live file systems
 * instead, --seconds N a cell, default 1.5, with --write into docs/isolation-kernel.json. Needs root, loop devices and node:ffi.
 * Exit 1 if a design is weaker than it declares, 2 for a wrong option, 3 if a file system cannot be probed.
 */
import { writeFileSync } from 'node:fs'
import { cpus, release, type } from 'node:os'
import { parseArgs } from 'node:util'
import { LEVELS } from '../src/lab/isolation/level.ts'
import { probe, PROBED, type ProbedCell, type ProbedFs, probedLevel } from '../src/oracle/isolation-probe.ts'
import { strategies } from '../src/strategies/index.ts'
import { KERNEL_JSON, readKernelDocument } from './isolation-kernel.ts'
import { BUDGET, measureDesign, SHARED_READS } from './isolation-measure.ts'
import { isolationPage } from './isolation-page.ts'

const { values: options } = parseArgs({
  options: { write: { type: 'boolean' }, kernel: { type: 'string', multiple: true }, seconds: { type: 'string' } },
})
const asked = options.kernel ?? []
const seconds = Number(options.seconds ?? 1.5)
const unknown = asked.find((fs) => !PROBED.includes(fs as ProbedFs))
if (unknown !== undefined || !(seconds > 0)) {
  const what = unknown === undefined ? '--seconds must be a number above 0' : `${unknown} cannot be probed; known are ${PROBED.join(', ')}`
  process.stderr.write(`isolation: ${what}\n`)
  process.exit(2)
}

const line = (fs: string, c: ProbedCell): string =>
  `${fs}, ${c.id}: ${c.refused ?? `${probedLevel(c)}, ${c.torn} of ${c.looks} torn, at 64 KiB ${c.at65536}, 4 KiB ${c.at4096}, ` +
    `64 B ${c.at64}, elsewhere ${c.elsewhere}`}\n`

const probeKernel = async (): Promise<void> => {
  const machine = `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown CPU'}`
  let document = readKernelDocument()
  for (const fs of asked as readonly ProbedFs[]) {
    const cells = await probe(fs, seconds)
    for (const c of cells) process.stdout.write(line(fs, c))
    document = { ...document, systems: { ...document.systems, [fs]: { kernel: `${type()} ${release()}`, machine, seconds, cells } } }
  }
  if (options.write === true) writeFileSync(KERNEL_JSON, `${JSON.stringify(document).replace(/\{"id"/g, '\n{"id"')}\n`)
}

const measureDesigns = (): void => {
  const all = [...strategies, SHARED_READS].map((s) => {
    process.stderr.write(`isolation: ${s.name}\n`)
    return measureDesign(s, BUDGET)
  })
  const page = isolationPage(all, readKernelDocument())
  process.stdout.write(page)
  if (options.write === true) writeFileSync(new URL('../docs/isolation.md', import.meta.url), page)
  const rank = (level: string): number => (LEVELS as readonly string[]).indexOf(level)
  const weaker = all.filter((m) => rank(m.cells.read.level) > rank(m.declared))
  for (const m of weaker) process.stderr.write(`isolation: ${m.design} declares ${m.declared}, measured ${m.cells.read.level}\n`)
  process.exitCode = weaker.length === 0 ? 0 : 1
}

if (asked.length === 0) measureDesigns()
else {
  await probeKernel().catch((error: Error) => {
    process.stderr.write(`isolation: ${error.message}\n`)
    process.exitCode = 3
  })
}
