import { writeFileSync } from 'node:fs'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { availability } from '../host/availability.ts'
import { runOrThrow } from '../host/process.ts'
import { Scratch } from '../host/scratch.ts'
import { damage, judgeTheJudges } from './damage.ts'
import { debugfs } from './debugfs.ts'
import { e2fsck } from './e2fsck.ts'
import { Tally } from './judge.ts'
import type { ExpectedEntry, ImageUnderTest } from './judge.ts'
import { judgeAndChange, kernelJudge } from './kernel-judge.ts'

const MIB = 1024 * 1024
const text = Buffer.from('perform-write\n'.repeat(5000))
const longTarget = 'x/'.repeat(60)

/** What debugfs is told to make below, as it must be found again. */
const tree: readonly ExpectedEntry[] = [
  { path: 'text', type: 'file', size: text.length, nlink: 1, mode: 0o644, contents: () => text },
  { path: 'dir', type: 'directory', size: 0, nlink: 3 },
  { path: 'dir/in ner', type: 'directory', size: 0, nlink: 2 },
  { path: 'dir/in ner/say "hi"', type: 'file', size: 3, nlink: 1, contents: () => Buffer.from('abc') },
  { path: 'empty', type: 'file', size: 0, nlink: 1, contents: () => [] },
  {
    path: 'sparse', type: 'file', size: 3 * MIB, nlink: 1,
    contents: () => [{ pos: 2 * MIB, bytes: Buffer.alloc(MIB, 7) }],
  },
  { path: 'short', type: 'symlink', size: 4, target: 'text' },
  { path: 'long', type: 'symlink', size: longTarget.length, target: longTarget },
]

const scratchOfTest = (): Scratch => {
  const scratch = new Scratch('perform-write-test')
  onTestFinished(() => scratch.close())
  return scratch
}

/** An image that mke2fs made and debugfs filled: no code of ours is in it. */
const foreignImage = async (scratch: Scratch, format: 'ext2' | 'ext4', blockSize: number): Promise<ImageUnderTest> => {
  const path = scratch.path('image')
  await runOrThrow('mke2fs', ['-q', '-F', '-t', format, '-b', `${blockSize}`, '-O', '^has_journal', path, '16M'])
  writeFileSync(scratch.path('text'), text)
  writeFileSync(scratch.path('abc'), 'abc')
  writeFileSync(scratch.path('empty'), '')
  writeFileSync(scratch.path('sparse'), Buffer.concat([Buffer.alloc(2 * MIB), Buffer.alloc(MIB, 7)]))
  const from = (name: string): string => scratch.path(name)
  writeFileSync(scratch.path('script'), [
    `write ${from('text')} text`, 'mkdir dir', 'mkdir "dir/in ner"', 'cd "dir/in ner"',
    `write ${from('abc')} "say ""hi"""`, 'cd /', `write ${from('empty')} empty`, `write ${from('sparse')} sparse`,
    'symlink short text', `symlink long ${longTarget}`, '',
  ].join('\n'))
  await runOrThrow('debugfs', ['-w', '-f', scratch.path('script'), path])
  return { path, format, expected: tree }
}

const mountable = await kernelJudge.available()

afterEach(() => {
  vi.restoreAllMocks()
})

describe.each([['ext2', 1024], ['ext2', 4096], ['ext4', 1024], ['ext4', 4096]] as const)('%s, blocks of %i', (format, block) => {
  test('a good image is accepted by e2fsck and debugfs', async () => {
    const image = await foreignImage(scratchOfTest(), format, block)
    expect(await e2fsck.judge(image)).toEqual({ accepted: true, lines: [], unjudged: [] })
    expect(await debugfs.judge(image)).toEqual({ accepted: true, lines: [], unjudged: [] })
  })

  test('each judge refuses the damage that it is there to see', async () => {
    const trials = await judgeTheJudges(await foreignImage(scratchOfTest(), format, block))
    expect(trials.map(({ judge, verdict }) => [judge, verdict])).toEqual([
      ['e2fsck', 'refused'], ['debugfs', 'refused'], ['kernel', mountable.ok ? 'refused' : 'unavailable'],
    ])
    expect(trials[0]?.lines.join('\n')).toContain('Block bitmap differences')
    expect(trials[1]?.lines[0]).toMatch(/: byte \d+ is 0x.., expected 0x..$/)
  })

  test(mountable.ok ? 'the kernel reads it, writes to it, and what it wrote is found' : `kernel: ${mountable.why}`, async () => {
    const image = await foreignImage(scratchOfTest(), format, block)
    // Where it cannot judge, it says so and does not accept.
    if (!mountable.ok) return expect(mountable.why).toMatch(/not root|not Linux|loop|not installed/)
    expect(await kernelJudge.judge(image)).toEqual({ accepted: true, lines: [], unjudged: [] })
    expect(await debugfs.judge(image), 'the judge worked on a copy').toMatchObject({ accepted: true })
    const { judgement, after } = await judgeAndChange(image)
    expect(judgement).toEqual({ accepted: true, lines: [], unjudged: [] })
    expect(after.map(entry => entry.path)).toContain('kernel-directory/moved')
    expect(await debugfs.judge({ ...image, expected: after })).toEqual({ accepted: true, lines: [], unjudged: [] })
    expect((await debugfs.judge(image)).lines).toContain('text: is missing')
  })
})

describe('a wrong expectation', () => {
  const wrong: readonly (readonly [string, Partial<ExpectedEntry>, string])[] = [
    ['text', { size: 70_001 }, 'text: size is 70000, expected 70001'],
    ['text', { mode: 0o600 }, 'text: mode is 0644, expected 0600'],
    ['text', { contents: () => Buffer.concat([text.subarray(0, 69_999), Buffer.from('!')]) },
      'text: byte 69999 is 0x0a, expected 0x21'],
    ['dir', { nlink: 2 }, 'dir: link count is 3, expected 2'],
    ['dir', { type: 'file' }, 'dir: type is directory, expected file'],
    ['sparse', { contents: () => [] }, 'sparse: byte 2097152 is 0x07, expected 0x00'],
    ['short', { target: 'elsewhere' }, 'short: target is text, expected elsewhere'],
    ['long', { target: 'elsewhere' }, `long: target is ${longTarget}, expected elsewhere`],
    ['empty', { path: 'full' }, 'full: is missing'],
  ]

  test('is named in one line, by debugfs and by the kernel alike', async () => {
    const image = await foreignImage(scratchOfTest(), 'ext4', 1024)
    for (const [path, change, line] of wrong) {
      const expected = tree.map(entry => entry.path === path ? { ...entry, ...change } : entry)
      const lines = 'path' in change ? [line, `${path}: is there, and was not expected`] : [line]
      expect((await debugfs.judge({ ...image, expected })).lines).toEqual(lines)
      if (mountable.ok) expect((await kernelJudge.judge({ ...image, expected })).lines).toEqual(lines)
    }
  })
})

test('a file too large to dump is reported as not judged', async () => {
  const scratch = scratchOfTest()
  const path = scratch.path('image')
  writeFileSync(scratch.path('script'), `write ${scratch.path('small')} big\nsif big size 1073741824\n`)
  writeFileSync(scratch.path('small'), 'small')
  await runOrThrow('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '4096', path, '16M'])
  await runOrThrow('debugfs', ['-w', '-f', scratch.path('script'), path])
  const big: ExpectedEntry =
    { path: 'big', type: 'file', size: 1 << 30, contents: () => [{ pos: 0, bytes: Buffer.from('small') }] }
  const image: ImageUnderTest = { path, format: 'ext4', expected: [big] }
  expect(await debugfs.judge(image)).toMatchObject(
    { accepted: true, unjudged: ['big: bytes not read, 1073741824 are too many to dump'] })
  if (!mountable.ok) return
  expect(await kernelJudge.judge(image)).toMatchObject(
    { accepted: true, unjudged: ['big: 1073741824 bytes, compared around its data only'] })
  const other: ExpectedEntry = { ...big, contents: () => [{ pos: 0, bytes: Buffer.from('smell') }] }
  expect((await kernelJudge.judge({ ...image, expected: [other] })).lines).toEqual(['big: byte 2 is 0x61, expected 0x65'])
})

describe('what is missing is said', () => {
  test('a program, with the package that brings it', () => {
    expect(availability({ programs: { 'mkfs.nothing': 'nothing-progs' } }))
      .toEqual({ ok: false, why: 'mkfs.nothing is not installed: apt-get install nothing-progs' })
  })

  test('root', async () => {
    vi.spyOn(process, 'geteuid').mockReturnValue(1000)
    expect(await kernelJudge.available()).toEqual({ ok: false, why: 'not root: mounting needs it; run this as root' })
    const trials = await judgeTheJudges(await foreignImage(scratchOfTest(), 'ext2', 1024))
    expect(trials.at(-1)).toEqual({
      judge: 'kernel', kind: 'byte-flipped', verdict: 'unavailable', lines: ['not root: mounting needs it; run this as root'],
    })
  })
})

test('damage needs a file to damage, and an image', async () => {
  const scratch = scratchOfTest()
  await runOrThrow('mke2fs', ['-q', '-F', '-t', 'ext2', scratch.path('image'), '1M'])
  expect(() => damage(scratch.path('image'), 'byte-flipped')).toThrow('no file with data in this image')
  writeFileSync(scratch.path('noise'), Buffer.alloc(4096, 1))
  expect(() => damage(scratch.path('noise'), 'byte-flipped')).toThrow('not an ext2 or ext4 image')
})

test('a tally counts images and refusals, one line per judge', async () => {
  const image = await foreignImage(scratchOfTest(), 'ext2', 1024)
  const tally = new Tally()
  const [fsck, files] = [tally.counted(e2fsck), tally.counted(debugfs)]
  tally.counted(kernelJudge)
  await fsck.judge(image)
  await files.judge(image)
  damage(image.path, 'byte-flipped')
  await fsck.judge(image)
  await files.judge(image)
  expect(tally.lines()).toEqual([
    'judge debugfs: 2 images, 1 refused', 'judge e2fsck: 2 images, 0 refused', 'judge kernel: 0 images, 0 refused',
  ])
})
