import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseCall, parseFd, parseNumber, parseStraceLine, parseText, splitArguments, unescape } from './strace-line.ts'

test('a line is a call, a half of one, a signal or an end', () => {
  expect(parseStraceLine('12  1700000000.000001 fsync(3</d/a>) = 0 <0.000007>'))
    .toEqual({ kind: 'call', pid: 12, time: 1700000000000001, text: 'fsync(3</d/a>) = 0 <0.000007>' })
  expect(parseStraceLine('[pid    12] 1.000000 wait4(-1,  <unfinished ...>'))
    .toEqual({ kind: 'unfinished', pid: 12, time: 1000000, text: 'wait4(-1, ' })
  expect(parseStraceLine('12 1.000000 <... wait4 resumed>0x1, 0, NULL) = 13'))
    .toEqual({ kind: 'resumed', pid: 12, time: 1000000, text: '0x1, 0, NULL) = 13' })
  expect(parseStraceLine('sync() = 0')).toEqual({ kind: 'call', pid: 0, time: undefined, text: 'sync() = 0' })
  expect(parseStraceLine('12 1.000000 --- SIGCHLD {si_signo=SIGCHLD} ---')).toEqual({ kind: 'signal', pid: 12 })
  expect(parseStraceLine('12 1.000000 +++ exited with 0 +++')).toEqual({ kind: 'exit', pid: 12 })
  expect(parseStraceLine('12 1.000000 +++ superseded by execve in pid 14 +++')).toEqual({
    kind: 'superseded',
    pid: 12,
    by: 14,
  })
  expect(parseStraceLine('Process 12 attached')).toBeUndefined()
})

test('a call is a name, arguments and a result', () => {
  expect(parseCall('openat(AT_FDCWD</d>, "a, (b) \\"c\\"", O_RDWR|O_CREAT, 0644) = 3</d/a> <0.000012>')).toEqual({
    name: 'openat',
    args: ['AT_FDCWD</d>', '"a, (b) \\"c\\""', 'O_RDWR|O_CREAT', '0644'],
    value: 3,
    path: '/d/a',
  })
  expect(parseCall('read(3<pipe:[17]>, ""..., 8) = -1 EAGAIN (Resource temporarily unavailable)')).toMatchObject({
    value: -1,
  })
  expect(parseCall('exit_group(0)   = ?')).toMatchObject({ value: NaN, args: ['0'] })
  expect(parseCall('mmap(NULL, 1, PROT_READ, MAP_SHARED, 3</d/a>, 0) = 0x7f0000000000')).toMatchObject({
    value: 0x7f0000000000,
  })
  expect(parseCall('fcntl(3</d/x>(deleted), F_GETFD) = 0x1 (flags FD_CLOEXEC)')).toMatchObject({ value: 1 })
  expect(parseCall('read(3, "", 8')).toBeUndefined()
})

test('arguments are split outside of quotes, brackets and paths', () => {
  expect(splitArguments('3</d/a, b>, [{iov_base=""..., iov_len=4}, {iov_base="", iov_len=2}], 2')).toEqual([
    '3</d/a, b>',
    '[{iov_base=""..., iov_len=4}, {iov_base="", iov_len=2}]',
    '2',
  ])
  expect(splitArguments('3<TCP:[127.0.0.1:1->127.0.0.1:2]>, "\\\\", 1')).toEqual([
    '3<TCP:[127.0.0.1:1->127.0.0.1:2]>',
    '"\\\\"',
    '1',
  ])
  expect(splitArguments('3</d/a->, 1')).toEqual(['3</d/a->', '1'])
  expect(splitArguments('')).toEqual([])
})

test('fds, texts and numbers', () => {
  expect(parseFd('3</d/a>')).toEqual({ fd: 3, path: '/d/a', other: false, deleted: false })
  expect(parseFd('3</d/a>(deleted)')).toEqual({ fd: 3, path: '/d/a', other: false, deleted: true })
  expect(parseFd('3</d/a (deleted)>')).toEqual({ fd: 3, path: '/d/a', other: false, deleted: true })
  expect(parseFd('AT_FDCWD</d>')).toEqual({ fd: NaN, path: '/d', other: false, deleted: false })
  expect(parseFd('0<pipe:[17]>')).toMatchObject({ path: undefined, other: true })
  expect(parseFd('3')).toEqual({ fd: 3, path: undefined, other: false, deleted: false })
  expect(parseFd('"3"')).toBeUndefined()
  expect(parseText('"caf\\303\\251\\n"')).toBe('café\n')
  expect(parseText('0x7ffc0000')).toBeUndefined()
  expect([parseNumber('[4096]'), parseNumber('[0] => [100]'), parseNumber('NULL'), parseNumber('-20')]).toEqual([
    4096,
    0,
    undefined,
    -20,
  ])
})

test('what strace escapes comes back', () => {
  const escape = (text: string): string => [...Buffer.from(text)].map(byte =>
    byte < 32 || byte > 126 || '<>"\\'.includes(String.fromCharCode(byte))
      ? `\\${byte.toString(8).padStart(3, '0')}` : String.fromCharCode(byte)).join('')
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), text => {
    expect(unescape(escape(text))).toBe(text)
  }))
  expect(unescape('\\134n\\n\\x41')).toBe('\\n\nA')
})
