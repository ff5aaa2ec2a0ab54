/**
 * debugfs as a judge: every name, attribute and byte of an image, without root (debugfs(8)).
 *
 * Two runs of debugfs, each fed by a command file: the first lists the directories and asks for attributes, the second
 * dumps the files. Its own library reads the maps, so a wrong pointer or a lost unwritten flag shows in the bytes.
 */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { availability } from '../host/availability.ts'
import { run } from '../host/process.ts'
import { Scratch } from '../host/scratch.ts'
import { COMPARE_WHOLE, compareTrees } from './compare.ts'
import type { FoundEntry } from './compare.ts'
import { judgement } from './judge.ts'
import type { ExpectedEntry, Judge, Judgement } from './judge.ts'

// debugfs splits its commands at spaces; in double quotes a double quote is written twice (libss).
const quote = (path: string): string => `"/${path.replaceAll('"', '""')}"`

/** Run commands on an image. @returns what each one printed, in order, its echo excepted */
const ask = async (scratch: Scratch, image: string, commands: readonly string[]): Promise<string[]> => {
  const script = scratch.path('commands')
  writeFileSync(script, commands.map(command => `${command}\n`).join(''))
  const { stdout } = await run('debugfs', ['-f', script, image])
  // With -f every command is echoed as `debugfs: COMMAND` before its output.
  const answers: string[] = []
  let expected = 0
  for (const line of stdout.split('\n')) {
    if (expected < commands.length && line === `debugfs: ${commands[expected]}`) {
      answers.push('')
      expected++
    } else if (answers.length > 0) {
      answers[answers.length - 1] += `${line}\n`
    }
  }
  return answers
}

type Listed = Pick<FoundEntry, 'path' | 'type' | 'mode' | 'size'>

const TYPES: Readonly<Record<number, FoundEntry['type']>> = { 0o04: 'directory', 0o10: 'file', 0o12: 'symlink' }

// `ls -p`: one entry a line, /inode/mode/uid/gid/name/size/ ; directories have an empty size.
const LISTED = /^\/\d+\/(\d{6})\/\d+\/\d+\/([^/]+)\/(\d*)\/$/gm

const parseListing = (directory: string, text: string): Listed[] =>
  [...text.matchAll(LISTED)].flatMap(([, mode = '', name = '', size = '']) => {
    if (name === '.' || name === '..') return []
    const bits = parseInt(mode, 8)
    const path = directory === '' ? name : `${directory}/${name}`
    return [{ path, type: TYPES[bits >> 12] ?? 'other', mode: bits & 0o7777, size: Number(size) }]
  })

// All names of an image, level by level.
const list = async (scratch: Scratch, image: string): Promise<Listed[]> => {
  const all: Listed[] = []
  for (let level = ['']; level.length > 0;) {
    const answers = await ask(scratch, image, level.map(path => `ls -p ${quote(path)}`))
    const found = level.flatMap((path, i) => parseListing(path, answers[i] ?? ''))
    all.push(...found)
    level = found.filter(entry => entry.type === 'directory' && entry.path !== 'lost+found').map(entry => entry.path)
  }
  return all
}

// A file that could not be dumped has no bytes: the comparison then says at which byte there is nothing.
const reader = (file: string) => (pos: number, len: number): Buffer => {
  if (!existsSync(file)) return Buffer.alloc(0)
  const fd = openSync(file, 'r')
  try {
    const bytes = Buffer.alloc(len)
    return bytes.subarray(0, readSync(fd, bytes, 0, len, pos))
  } finally {
    closeSync(fd)
  }
}

const field = (stat: string, pattern: RegExp): string | undefined => pattern.exec(stat)?.[1]

// A short target is in the inode and `stat` shows it; a long one is in a block, which `dump` copies.
const symlinkTarget = (stat: string, dumped: string): string =>
  field(stat, /^Fast link dest: "(.*)"$/m) ?? (existsSync(dumped) ? readFileSync(dumped, 'utf8') : '')

const lookUp = async (scratch: Scratch, image: string): Promise<FoundEntry[]> => {
  const listed = (await list(scratch, image)).filter(({ path }) => path !== 'lost+found')
  const stats = await ask(scratch, image, listed.map(({ path }) => `stat ${quote(path)}`))
  const out = scratch.path('out')
  mkdirSync(out)
  const dumped = listed.map((entry, i) => ({ ...entry, file: `${out}/${i}` }))
    .filter(({ type, size }) => type === 'symlink' || (type === 'file' && size <= COMPARE_WHOLE))
  await ask(scratch, image, dumped.map(({ path, file }) => `dump ${quote(path)} ${file}`))
  return listed.map((entry, i) => {
    const stat = stats[i] ?? ''
    const found = { ...entry, nlink: Number(field(stat, /^Links: (\d+)/m)) }
    if (entry.type === 'symlink') return { ...found, target: symlinkTarget(stat, `${out}/${i}`) }
    return entry.type === 'file' && entry.size <= COMPARE_WHOLE ? { ...found, read: reader(`${out}/${i}`) } : found
  })
}

const judge = async (path: string, expected: readonly ExpectedEntry[]): Promise<Judgement> => {
  using scratch = new Scratch('perform-write-debugfs')
  const unjudged = expected
    .filter(entry => entry.type === 'file' && entry.size > COMPARE_WHOLE)
    .map(entry => `${entry.path}: bytes not read, ${entry.size} are too many to dump`)
  return judgement(compareTrees(expected, await lookUp(scratch, path)), unjudged)
}

/** The judge `debugfs`. Names that hold a newline cannot be asked for, and are reported as missing. */
export const debugfs: Judge = {
  name: 'debugfs',
  available: async () => availability({ programs: { debugfs: 'e2fsprogs' } }),
  judge: ({ path, expected }) => judge(path, [...expected]),
}
