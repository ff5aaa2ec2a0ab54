import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dispute, strategies } from '../strategies/index.ts'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
let folder: string
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'perform-write-cli-'))))
afterAll(() => rmSync(folder, { recursive: true }))

/** Run the command line in an empty folder. */
const cli = (...args: string[]) => {
  const env = { ...process.env, NO_COLOR: '1' }
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { cwd: folder, encoding: 'utf8', env })
  return { code: status, out: stdout, err: stderr }
}
const read = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Record<string, never>
const digest = (name: string) => createHash('sha256').update(readFileSync(join(folder, name))).digest('hex')

const PLUGIN = `
export default {
  name: 'mine', summary: 's', source: 's', unit: 'folio', copy: 'atomic',
  claims: { isolation: 'none', faultIn: 'any', readLock: 'none', enospcUnit: 'block', mmapHole: 'fault',
    stablePages: false, checksumAt: 'submit', rollback: true },
  *begin(k, w, m) { BODY },
}`
const plugin = (name: string, body: string, change: (text: string) => string = (t) => t): string => {
  writeFileSync(join(folder, name), change(PLUGIN.replace('BODY', body)))
  return `./${name}`
}

describe('help and usage', () => {
  test('every command explains itself with an example', () => {
    const { code, out } = cli('--help')
    expect(code).toBe(0)
    for (const command of ['list', 'compare', 'run', 'mkfs', 'import', 'conform']) expect(out).toContain(`  ${command} `)
    expect(cli('compare', '--help').out).toContain('perform-write compare get-block ./mine.ts')
    expect(cli('--version').out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test.each([
    [['frob'], "perform-write: unknown command 'frob'"],
    [['compare', 'nope'], 'perform-write: no design is named "nope"; known are get-block,'],
    [['compare', '--workload', 'nope'], 'perform-write: no workload is named "nope"; known are sqlite-rollback,'],
    [['compare', '--fs', 'xfs'], 'perform-write: no file system is named "xfs"; known are ext2, ext4'],
    [['compare', '--block-size', '512'], 'Give 1024, 2048 or 4096.'],
    [['compare', 'get-block', 'get-block'], 'the name "get-block" is given twice'],
    [['compare', 'get-block', '--scene', 'nope'], '--scene nope: no such scene; known are new-file,'],
    [['compare', './gone.ts'], 'perform-write: ./gone.ts: there is no such file'],
    [['mkfs', 'ext4', '--image', 'x.img', '--size', '64X'], 'Give a size such as 4096, 64M or 1G.'],
    [['import', '--from', 'nope', 'x'], 'Allowed choices are strace, fio-iolog.'],
  ])('%j is a usage error, in one line', (args, message) => {
    const { code, out, err } = cli(...args)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain(message)
    expect(err).not.toContain('    at ')
  })
})

test('list names everything, for people and for programs', () => {
  const { code, out } = cli('list', '--json', 'list.json')
  expect(code).toBe(0)
  expect(out).toContain('reserve-copy-allocate')
  const list = read('list.json') as unknown as Record<string, { name: string }[]>
  expect(list).toMatchObject({ schema: 1, tool: 'perform-write' })
  for (const part of ['strategies', 'fileSystems', 'claims', 'workloads']) {
    expect(list[part]!.length).toBeGreaterThan(1)
    for (const { name } of list[part]!) expect(name).toMatch(/^\S+$/)
  }
})

describe('an image', () => {
  test('is made, is not overwritten, takes a workload, and is as the model says', () => {
    expect(cli('mkfs', 'ext4', '--image', 'a.img', '--size', '32M')).toMatchObject({ code: 0, err: '' })
    const again = cli('mkfs', 'ext4', '--image', 'a.img', '--size', '32M')
    expect(again.code).toBe(2)
    expect(again.err).toBe(
      'perform-write: a.img: exists and holds 32 MiB; add --force to overwrite it, or choose another name\n')
    const run = cli('run', '--strategy', 'invalidate-splice', '--fs', 'ext4', '--image', 'a.img', '--workload', 'append',
      '--json', 'run.json')
    expect(run).toMatchObject({ code: 0, err: '' })
    expect(run.out).toContain('✓ every answer, and every byte of every file, is what the independent model says')
    expect(read('run.json')).toMatchObject({ schema: 1, command: 'run', checked: true, bytesWritten: 2 * 2 ** 20, problem: null })
  })

  test('that cannot be mounted is named in one line and not written to', () => {
    writeFileSync(join(folder, 'zeros.img'), Buffer.alloc(1 << 20))
    expect(cli('mkfs', 'ext2', '--image', 'cut.img', '--size', '8M').code).toBe(0)
    truncateSync(join(folder, 'cut.img'), 1 << 20)
    for (const [image, message] of [['zeros.img', /no ext2 or ext4 here/], ['cut.img', /image is cut off/]] as const) {
      const before = digest(image)
      const { code, err } = cli('run', '--strategy', 'get-block', '--fs', 'ext2', '--image', image, '--workload', 'seq')
      expect([code, err.split('\n').length]).toEqual([3, 2])
      expect(err).toMatch(message)
      expect(digest(image)).toBe(before)
    }
    const gone = cli('run', '--strategy', 'get-block', '--fs', 'ext2', '--image', 'gone.img', '--workload', 'seq')
    expect(gone.code).toBe(3)
    expect(gone.err).toBe('perform-write: gone.img: cannot open the image (ENOENT); check the path and its permissions\n')
    expect(existsSync(join(folder, 'gone.img'))).toBe(false)
  })
})

describe('import', () => {
  test('makes a workload of a recording; a line that is wrong is named', () => {
    writeFileSync(join(folder, 'job.log'), 'fio version 2 iolog\nf add\nf open\nf write 0 4096\nf close\n')
    expect(cli('import', '--from', 'fio-iolog', 'job.log', '-o', 'job.jsonl')).toMatchObject({ code: 0, err: '' })
    expect(readFileSync(join(folder, 'job.jsonl'), 'utf8')).toContain('"op":"write"')
    writeFileSync(join(folder, 'bad.log'), 'fio version 2 iolog\nf add\nf open\nf write zero 4096\n')
    const bad = cli('import', '--from', 'fio-iolog', 'bad.log', '-o', 'bad.jsonl')
    expect(bad.code).toBe(2)
    expect(bad.err).toMatch(/bad\.log:4: /)
    expect(existsSync(join(folder, 'bad.jsonl'))).toBe(false)
  })
})

describe('compare', () => {
  test('two designs: ticks, costs, undo, judges, and the same for programs', () => {
    const { code, out } = cli('compare', 'get-block', 'reserve-copy-allocate', '--workload', 'append', '--no-judges',
      '--json', 'c.json')
    expect(code).toBe(0)
    expect(out).toMatch(/I11 {2}n bytes are written, and nothing else +✓ +✓/)
    expect(out).toMatch(/I12 {2}a failed write changes nothing +✓ +✗ d/)
    expect(out).toContain('replay: perform-write compare reserve-copy-allocate --scene holes-dirty@')
    expect(out).toContain('the cost of undo: counts per failed write')
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
    const json = read('c.json') as unknown as {
      designs: { name: string; verdicts: { claim: string; status: string }[] }[]
      mutants: { killed: boolean }[]
    }
    expect(json.designs.map((d) => d.name)).toEqual(['get-block', 'reserve-copy-allocate'])
    expect(json.designs[1]!.verdicts.find((v) => v.claim === 'I12')!.status).toBe('declared')
    expect(json.mutants.every((m) => m.killed)).toBe(true)
  })

  test('without a name it is the five of 2010, with "all" every design', () => {
    const designs = (...args: string[]) =>
      [...cli('compare', ...args, '--scene', 'new-file').out.matchAll(/^([a-z-]+), scene new-file/gm)].map(([, name]) => name)
    expect(designs()).toEqual(dispute.map((s) => s.name))
    expect(designs('all')).toEqual(strategies.map((s) => s.name))
    expect(dispute).toHaveLength(5)
  })

  test('a plugin of the wrong shape is refused with the field that is wrong', () => {
    const refusal = (file: string) => {
      const { code, err } = cli('compare', file, '--no-judges')
      expect(code).toBe(2)
      return err.split(';')[0]
    }
    expect(refusal(plugin('nobegin.ts', '', (t) => t.replace('*begin', '*begun'))))
      .toBe('perform-write: ./nobegin.ts: "begin" is missing: it is the one hook that every design has')
    expect(refusal(plugin('unit.ts', '', (t) => t.replace("'folio'", "'page'"))))
      .toBe('perform-write: ./unit.ts: "unit" must be one of folio, extent, write, found "page"')
    expect(refusal(plugin('clash.ts', '', (t) => t.replace("'mine'", "'get-block'"))))
      .toBe('perform-write: ./clash.ts: the name "get-block" belongs to a design that comes with perform-write')
  })

  test('a plugin that throws, or leaks a lock, fails with the name of the hook or the lock', () => {
    const throws = plugin('throws.ts', "throw new TypeError('oops')")
    const thrown = cli('compare', throws, '--workload', 'append', '--no-judges')
    expect(thrown.code).toBe(1)
    expect(thrown.out).toContain('✗ mine port in new-file, with no fault: begin: threw TypeError: oops')
    const leaked = cli('compare', plugin('leaks.ts', `
      m.len = 4096 - (m.pos % 4096)
      yield* k.acquire(w.inode.mapLock)
      const { lblk } = w.fs.lookup(k, w.inode, m, Math.floor(m.pos / 4096), 1)
      m.cookie = k.cookie(w.inode)
      yield* w.fs.reserve(k, w.inode, m, 1, lblk + 1)
      yield* w.fs.record(k, w.inode, m, lblk, 1)`), '--scene', 'new-file')
    expect(leaked.code).toBe(1)
    expect(leaked.out).toMatch(/✗ I16: self-deadlock: the only fiber waits for inode \d+ map lock/)
  })

  test('a plugin that loops is ended, and its hook is named', () => {
    const loops = plugin('loops.ts', 'while (w) ;')
    const { code, out } = cli('compare', loops, '--workload', 'append', '--no-judges', '--patience', '3')
    expect(code).toBe(1)
    expect(out).toContain('the hook begin did not return within 3 s: an endless loop')
  })
})
