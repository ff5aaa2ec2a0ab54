import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bench, leak, leaks, race, unlocked } from '../lab/check/broken.test-util.ts'
import { type Design, printCounterexample } from '../lab/check/counterexample.ts'
import { KernelArm } from '../oracle/kernel-arm.ts'
import { delallocPerBlock } from '../strategies/delalloc-per-block.ts'
import { getBlock } from '../strategies/get-block.ts'
import { designOf, readCounterexample, saveCounterexample, wrapUp } from './counterexamples.ts'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
let folder: string

/** Run the command in a folder with leak.json (Z55) and race.json. */
const cli = (...args: string[]) => {
  const env = { ...process.env, NO_COLOR: '1' }
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'replay', ...args], { cwd: folder, encoding: 'utf8', env })
  return { code: status, out: stdout, err: stderr }
}
const put = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return name
}
const text = (name: string): string => readFileSync(join(folder, name), 'utf8')

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'perform-write-replay-'))
  const z55: Design = designOf('delalloc-per-block', delallocPerBlock, { id: 'Z55', change: 'the change' })
  put('leak.json', printCounterexample(wrapUp({ ...leak, what: '' }, z55, bench(leaks), { seed: 1 })!.file))
  const none: Design = designOf('get-block', getBlock)
  put('race.json', printCounterexample(wrapUp({ ...race(), what: '' }, none, bench(unlocked), { seed: null })!.file))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('on a design', () => {
  test('the mutant that it was found with => the same claim, the same words, 1', () => {
    const { code, out } = cli('leak.json')
    expect(code).toBe(1)
    expect(out).toContain('   1-6  write 4096 bytes at 0, 2048 of them readable => 2048\n')
    expect(out).toContain('\n✗ I4: block 1 is delayed, has no dirty data over it and belongs to no write under way\n')
    expect(out).toContain('\n✗ I4 is broken, as the file says\n')
    expect(cli('leak.json').out).toBe(out)
  })

  test('another one that keeps the claim => 0', () => {
    const { code, out } = cli('leak.json', '--on', 'reserve-allocate', '--json', 'result.json')
    expect(out).toContain('· found with delalloc-per-block with Z55, now run on reserve-allocate\n')
    expect(out).toContain('✓ I4 is no longer shown\n')
    expect(code).toBe(0)
    const result = { schema: 1, tool: 'perform-write', claim: 'I4', shown: null, others: [], strayed: null }
    expect(JSON.parse(text('result.json'))).toMatchObject(result)
  })

  test('one that goes another way => the step and the label where it leaves the tape, and on to the end', () => {
    const { code, out } = cli('race.json')
    const left = /^· the run leaves its tape after step 1: decision \d+ of kind schedule was taken at "[^"]+", and is now asked for at "/
    expect(out.replace(/\n  /g, ' ')).toMatch(left)
    expect(out.replace(/\n  /g, ' ')).toMatch(/; it went on from there to step \d+\n/)
    expect(out).toContain('✓ I18 is no longer shown\n')
    expect(code).toBe(0)
  })

  test('whose source is another now => it says so', () => {
    const name = put('old.json', text('race.json').replace(/sha256:[0-9a-f]{64}/, `sha256:${'0'.repeat(64)}`))
    expect(cli(name).out).toMatch(/^· src\/strategies\/get-block\.ts has changed since this was found\n/)
  })
})

test('a counterexample that is saved has a name that says what it is, the same each time', () => {
  const file = readCounterexample(join(folder, 'leak.json'))
  const path = saveCounterexample(join(folder, 'found'), file)
  expect(path).toMatch(/\/found\/I4-Z55-[0-9a-f]{8}\.json$/)
  expect(saveCounterexample(join(folder, 'found'), file)).toBe(path)
  expect(readCounterexample(path)).toEqual(file)
})

describe('usage', () => {
  test.each([
    [['none.json'], 'perform-write: none.json: there is no such file\n'],
    [['leak.json', '--on', 'nope'], 'perform-write: no design is named "nope"; known are get-block,'],
    [['leak.json', '--on', 'kernel:xfs'], 'perform-write: --on kernel:xfs: known are kernel:ext4, kernel:ext2\n'],
    [['race.json', '--export', 'python'], 'race.json: cannot be shown by a script on a kernel: it needs 2 processes in one order of steps'],
    [['race.json', '--on', 'kernel:ext4'], 'perform-write: race.json: cannot be replayed on a kernel: it needs 2 processes'],
    [['leak.json', '--export', 'ada'], "argument 'ada' is invalid. Allowed choices are python."],
  ])('replay %j', (args, message) => {
    const { code, out, err } = cli(...args)
    expect(err).toContain(message)
    expect(out).toBe('')
    expect(code).toBe(2)
  })

  test('a file that breaks off, or is another => one line, 2', () => {
    const cut = cli(put('cut.json', text('leak.json').slice(0, 900)))
    expect(cut.err).toMatch(/^perform-write: cut\.json: line \d+.*\n$/)
    expect(cut.code).toBe(2)
    const foreign = cli(put('foreign.json', '{"schema": 1, "tool": "other"}'))
    expect(foreign.err).toBe('perform-write: foreign.json: this is no counterexample of perform-write: "tool" and "kind" say otherwise\n')
    expect(foreign.code).toBe(2)
  })

  test('a mutant that there is not => its name, 2', () => {
    const { code, err } = cli(put('unknown.json', text('leak.json').replace('"id":"Z55"', '"id":"Z00"')))
    expect(err).toMatch(/^perform-write: Z00: no mutant Z00.*; --on takes another design\n$/)
    expect(code).toBe(2)
  })

  test('a program that cannot be set up => what failed, 2', () => {
    const impossible = text('race.json').replace(/"before": \[.*?\]/s, '"before": [{"op":"allocate","pos":0,"len":4096}]')
      .replace('"format":"ext4"', '"format":"ext2"')
    const { code, err } = cli(put('impossible.json', impossible))
    expect(err).toContain('impossible.json: program: cannot be set up here: before the fibers: allocate failed with EOPNOTSUPP\n')
    expect(code).toBe(2)
  })
})

const can = KernelArm.available('ext4')

/** A test that needs the kernel; without it, that the command says why. */
const onKernel = (title: string, body: () => void): void =>
  test(can.ok ? title : `${title}: unavailable, ${can.why}`, () => {
    if (can.ok) return body()
    const { code, err } = cli('leak.json', '--on', 'kernel:ext4')
    expect(err).toContain(`perform-write: kernel:ext4: ${can.why}\n`)
    expect(code).toBe(3)
  })

/** ext4 keeps the blocks since at least Linux 6.1; where a kernel has been repaired, both must say so. */
const SAYS = /I4 is (broken by|not shown by) Linux \S+,\s+ext4/

describe('on the kernel', () => {
  onKernel('model and kernel side by side, and a verdict', () => {
    const { code, out } = cli('leak.json', '--on', 'kernel:ext4')
    expect(out).toMatch(/^write 4096 bytes at 0, 2048 of them readable +2048 +2048$/m)
    const [, what] = SAYS.exec(out)!
    expect(code).toBe(what === 'broken by' ? 1 : 0)
    expect(cli('leak.json', '--on', 'kernel:ext2').out).toContain('I4 is not shown by Linux')
  })

  onKernel('the script sees what the replay sees', () => {
    const script = cli('leak.json', '--export', 'python')
    expect(script.code).toBe(0)
    put('leak.py', script.out)
    const { status, stdout, error } = spawnSync('python3', [join(folder, 'leak.py')], { encoding: 'utf8' })
    if (error !== undefined) return
    expect(stdout).toMatch(/the claim is (not )?broken here/)
    expect(status).toBe(cli('leak.json', '--on', 'kernel:ext4').code)
  })
})

test('the script is one that python takes, says what it is for, and what it needs', () => {
  const { out } = cli('leak.json', '--export', 'python')
  expect(out).toMatch(/^#!\/usr\/bin\/env python3\n\n# I4: Every delayed block/)
  expect(out).toContain('It needs root, python3, mke2fs and mount')
  expect(out).toContain('2097152 bytes and tried once more')
  expect(out).toContain('    write("write 4096 bytes at 0, 2048 of them readable", 0, 4096, tag=1, readable=2048)\n')
  const checked = spawnSync('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], { input: out, encoding: 'utf8' })
  if (checked.error === undefined) expect(checked.stderr).toBe('')
})
