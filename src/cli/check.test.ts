/** perform-write check and init, as their users meet them. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import type { Verdict } from '../lab/check/verdict.ts'

const main = fileURLToPath(new URL('./main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'perform-write-check-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const cli = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { cwd: folder, encoding: 'utf8' })
  return { code: status, out: stdout, err: stderr }
}
const plugin = (name: string, body: string, before = ''): string => {
  writeFileSync(join(folder, name), `${before}
export default {
  name: 'mine', summary: 's', source: 's', unit: 'folio', copy: 'atomic',
  claims: { isolation: 'none', faultIn: 'any', readLock: 'none', enospcUnit: 'block', mmapHole: 'fault',
    stablePages: false, checksumAt: 'submit', rollback: true },
  *begin(k, w, m) { ${body} },
}`)
  return `./${name}`
}

describe('check', () => {
  test('a mutant: the claim that names it is broken, shown as a timeline, saved, and replayed', () => {
    const { code, out } = cli('check', 'Z55', '--claim', 'I4', '--budget', 'smoke', '--save', 'found', '--json', 'c.json')
    expect(code).toBe(1)
    expect(out).toContain('Z55, after a short copy the delayed blocks past it are kept; I4 must see it')
    expect(out).toMatch(/I4 +each delayed block has dirty data +✗/)
    expect(out).toContain('replay: perform-write replay found/I4.json')
    expect(out).toMatch(/\n {2}step {2}writer 1\n/)
    const json = JSON.parse(readFileSync(join(folder, 'c.json'), 'utf8')) as { verdicts: Verdict[] }
    expect(json).toMatchObject({ schema: 1, tool: 'perform-write', command: 'check', mutant: 'Z55', seed: 1, budget: 'smoke' })
    expect(json.verdicts).toMatchObject([{ claim: 'I4', status: 'fail', counterexample: { claim: 'I4' } }])
    const again = cli('replay', 'found/I4.json')
    expect(again.code).toBe(1)
    expect(again.out).toContain('✗ I4 is broken, as the file says')
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
  })

  test('a design: a verdict for each claim, no tick without a reason, and what was done', () => {
    const { code, out, err } = cli('check', 'get-block', '--budget', 'smoke', '--fs', 'ext2', '--json', 'g.json')
    expect([code, err.replace(/^check: .*\n/gm, '')]).toEqual([0, ''])
    expect(out).toMatch(/I7 +shared blocks never change +n\.a\./)
    expect(out).toContain('· I7: n.a.; neither ext2 nor ext4 shares blocks between files')
    expect(out).toContain('· I28 a crash shows old, new or zero: not checked here')
    expect(out).toMatch(/certificate\n {2}3,\d\d\d executions, [\d,]+ states, [\d,]+ steps; seed 1, budget smoke, ext2\n/)
    expect(out).toMatch(/2 small programs again without pruning .* the same \d+ ends/s)
    const { verdicts } = JSON.parse(readFileSync(join(folder, 'g.json'), 'utf8')) as { verdicts: Verdict[] }
    for (const v of verdicts) if (v.status === 'pass') expect(v.reason).toMatch(/^killed Z\d\d/)
  })

  test('a design that throws, loops, or ends its thread is a finding with its name on it', () => {
    const check = (file: string) => cli('check', file, '--budget', 'smoke', '--patience', '2')
    const throws = check(plugin('throws.ts', `throw new TypeError('oops')`))
    expect(throws).toMatchObject({ code: 1, out: expect.stringContaining('begin: threw TypeError: oops') })
    const loops = check(plugin('loops.ts', 'while (w) ;'))
    expect(loops).toMatchObject({ code: 1, out: expect.stringContaining('the hook begin did not return within 2 s: an endless loop') })
    expect(loops.out).toContain('the check was ended early')
    const exits = check(plugin('exits.ts', `console.log('bye'); process.exit(4)`))
    expect(exits.code).toBe(1)
    expect(exits.out).toContain('the contract of the port is kept: it ended its thread, with code 4')
    expect(exits.out).not.toContain('bye')
  })

  test.each([
    [['check', 'nope'], 'no design is named "nope"'],
    [['check', 'Z00'], 'no mutant Z00; known are Z01,'],
    [['check', 'get-block', '--claim', 'I99'], 'no claim is named "I99"; known are I1,'],
    [['check', 'get-block', '--claim', 'I28'], 'I28: a check does not look at it: a check loses no power'],
    [['check', 'get-block', '--budget', 'huge'], 'Allowed choices are smoke, ci, deep.'],
    [['check', './gone.ts'], './gone.ts: there is no such file'],
    [['init', 'strategy', 'Not A Name'], '"Not A Name" is no name for a design'],
    [['init', 'strategy', 'get-block'], 'belongs to a design that comes with perform-write'],
    [['init', 'plan', 'mine'], 'Allowed choices are strategy.'],
  ])('%j is a usage error, in one line', (args, message) => {
    const { code, out, err } = cli(...args)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain(message)
    expect(err).not.toContain('    at ')
  })

  test('a file that loops while it is loaded is refused', () => {
    const { code, err } = cli('check', plugin('late.ts', '', 'for (;;);'), '--patience', '1')
    expect([code, err]).toEqual([2, 'perform-write: ./late.ts: it did not return within 1 s, while the file was loaded: an endless loop\n'])
  })
})

test('init makes a folder, once', () => {
  expect(cli('init', 'strategy', 'my-design')).toMatchObject({ code: 0, err: '' })
  for (const file of ['package.json', 'strategy.ts', 'README.md']) expect(existsSync(join(folder, 'my-design', file))).toBe(true)
  expect(readFileSync(join(folder, 'my-design', 'strategy.test.ts'), 'utf8').trimEnd().split('\n')).toHaveLength(5)
  const again = cli('init', 'strategy', 'my-design')
  expect(again).toMatchObject({ code: 2, err: 'perform-write: my-design: exists and is not empty; choose another name\n' })
})
