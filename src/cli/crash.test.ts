import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'perform-write-crash-'))
afterAll(() => rmSync(folder, { recursive: true }))

const perform = (...args: string[]): { code: number | null; out: string; err: string } => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' })
  return { code: status, out: stdout, err: stderr }
}
const crash = (...args: string[]) => perform('crash', '--strategy', 'reserve-allocate', '--states', '300', ...args)

test('what was promised holds, and the certificate says what was looked at', () => {
  const json = join(folder, 'crash.json')
  const { code, out } = crash('--fs', 'ext4,data=journal', '--workload', 'append', '--json', json)
  expect(code).toBe(0)
  expect(out).toContain('no state breaks what was promised')
  expect(out).toMatch(/promises in a state/)
  const { tool, states, promises, broken } = JSON.parse(readFileSync(json, 'utf8'))
  expect([tool, states > 100, promises > states, broken]).toEqual(['perform-write', true, true, []])
})

test('a drive that lies is found; the counterexample replays, and its image can be had', () => {
  const [file, image] = [join(folder, 'lost.json'), join(folder, 'lost.img')]
  const found = crash('--fs', 'ext4,no-journal', '--workload', 'append', '--ignore-flushes', '--save', file, '--export', image)
  expect([found.code, existsSync(file), statSync(image).size > 1 << 20]).toEqual([1, true, true])
  expect(found.out).toContain('==== the power goes at entry')
  const again = perform('replay', file)
  expect([again.code, /is broken, as the file says/.test(again.out)]).toEqual([1, true])
})

test('what cannot be asked is refused in one line', () => {
  expect(crash('--workload', 'append', '--fs', 'ext5').err).toMatch(/^perform-write: no file system or mode is named "ext5"/)
  expect(crash('--workload', 'append', '--size', '1M').code).toBe(2)
  expect(crash('--workload', 'concurrent', '--judge', 'fsck').code).toBe(2)
})
