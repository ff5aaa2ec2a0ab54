import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Operation } from '../operation.ts'
import { parseWorkload } from '../reader.ts'
import { shapeOf } from '../shape.ts'
import { formatWorkload } from '../writer.ts'
import type { Imported } from './recorder.ts'
import { splitArguments } from './strace-line.ts'
import { importStrace } from './strace.ts'

const FIXTURE = readFileSync(new URL('fixtures/mixed.strace', import.meta.url), 'utf8').trimEnd().split('\n')
const imported = (lines: string[], root = '/d'): Imported => importStrace(lines, { name: 'w', root, file: 'w.strace' })
const untimed = ({ operations }: Imported): Operation[] => operations.map(({ t: _, ...rest }) => rest as Operation)
/** The operations of calls of one process, without their times. */
const from = (...calls: string[]): Operation[] => untimed(imported(calls.map(call => `1 ${call}`)))
const sizes = ({ operations }: Imported): Record<string, number> => shapeOf(operations).sizes()

test('a recording of a shell, of coreutils and of a program with threads leaves the sizes that it left', () => {
  const result = imported(FIXTURE, '/data/fx')
  expect(sizes(result)).toEqual({ a0: 5000, 'd/b': 10, 'd/hard': 10, 'd/t': 5000 })
  expect(result.warnings).toEqual([])
  expect(result.header).toMatchObject({ setup: 4, files: 4 })
  expect(untimed(result).slice(0, 5)).toEqual([
    { op: 'open', fd: 2, path: 'a0', flags: ['O_WRONLY', 'O_CREAT'] }, { op: 'write', fd: 2, len: 5000, off: 0 },
    { op: 'close', fd: 2 }, { op: 'sync' }, { op: 'mkdir', path: 'd', mode: 0o777 },
  ])
  expect(untimed(result).slice(-6)).toEqual([
    { op: 'open', fd: 0, path: 'd', flags: ['O_RDONLY', 'O_DIRECTORY'] },
    { op: 'fdatasync', fd: 0 },
    { op: 'close', fd: 0 },
    { op: 'unlink', path: 'd/log' },
    { op: 'mkdir', path: 'e', mode: 0o777 },
    { op: 'rmdir', path: 'e' },
  ])
  expect(parseWorkload([...formatWorkload(result)].join('\n')).operations).toEqual(result.operations)
})

/** A complete call as its two halves, cut after some of its arguments; strace shows those of close at once. */
function halves(line: string, at: number): [string, string] | undefined {
  const match = /^(\d+ +(?:\d+\.\d+ )?)(\w+)\((.*)\)(\s+= .*)$/.exec(line)
  if (match === null) return undefined
  const [, prefix = '', name = '', text = '', result = ''] = match
  const args = splitArguments(text)
  const cut = name === 'close' ? args.length : at % (args.length + 1)
  const begin = args.slice(0, cut).map(arg => `${arg}, `).join('')
  const end = cut === args.length ? begin.slice(0, -2) : begin
  return [
    `${prefix}${name}(${end} <unfinished ...>`,
    `${prefix}<... ${name} resumed>${args.slice(cut).join(', ')})${result}`,
  ]
}

test('a call is the same in one piece and in two', () => {
  const whole = imported(FIXTURE, '/data/fx')
  fc.assert(fc.property(fc.infiniteStream(fc.nat(60)), cuts => {
    const lines = FIXTURE.flatMap(line => {
      const cut = cuts.next().value as number
      return cut % 3 === 0 ? [line] : halves(line, cut) ?? [line]
    })
    expect(imported(lines, '/data/fx').operations).toEqual(whole.operations)
  }), { numRuns: 30 })
})

test('processes that share nothing may be interleaved in any way', () => {
  const script = (pid: number): string[] =>
    [
      `openat(AT_FDCWD</d>, "f${pid}", O_RDWR|O_CREAT|O_EXCL, 0600) = 3</d/f${pid}>`,
      `write(3</d/f${pid}>, ""..., ${pid}) = ${pid}`,
      `dup2(3</d/f${pid}>, 5) = 5</d/f${pid}>`,
      `close(3</d/f${pid}>) = 0`,
      `lseek(5</d/f${pid}>, 10, SEEK_CUR) = ${pid + 10}`,
      `write(5</d/f${pid}>, ""..., 7) = 7`,
      `pwrite64(5</d/f${pid}>, ""..., 4, 2) = 4`,
      `fsync(5</d/f${pid}>) = 0`,
      `close(5</d/f${pid}>) = 0`,
      `rename("f${pid}", "g${pid}") = 0`,
    ].map(call => `${pid} ${call}`)
  const pids = [11, 12, 13]
  /** The operations by file, in their order, without fds. */
  const byFile = (result: Imported): Record<string, unknown> => {
    const paths = new Map<number, string>()
    return Object.groupBy(untimed(result).map(operation => {
      if (operation.op === 'open') paths.set(operation.fd, operation.path)
      const file = 'fd' in operation ? paths.get(operation.fd) : 'from' in operation ? operation.from : ''
      return { ...operation, fd: 0, file: file as string }
    }), ({ file }) => file)
  }
  const sequential = byFile(imported(pids.flatMap(script)))
  fc.assert(fc.property(fc.infiniteStream(fc.nat(2)), fc.infiniteStream(fc.nat(60)), (order, cuts) => {
    const queues = pids.map(pid => script(pid).flatMap(line => halves(line, cuts.next().value as number) ?? [line]))
    const lines: string[] = []
    while (queues.some(queue => queue.length > 0)) {
      const line = queues[order.next().value as number]?.shift()
      if (line !== undefined) lines.push(line)
    }
    const result = imported(lines)
    expect(byFile(result)).toEqual(sequential)
    expect(sizes(result)).toEqual({ g11: 28, g12: 29, g13: 30 })
  }))
})

test('threads share the table of fds, forked processes share the positions', () => {
  const threads = imported([
    '1 openat(AT_FDCWD</d>, "a", O_RDWR|O_CREAT|O_EXCL, 0600) = 3</d/a>',
    '1 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD, child_tid=0x1}, 88) = 2',
    '2 openat(AT_FDCWD</d>, "b", O_RDWR|O_CREAT|O_EXCL, 0600) = 4</d/b>',
    '1 write(4</d/b>, ""..., 5) = 5', '2 exit(0) = ?', '2 +++ exited with 0 +++', '1 write(4</d/b>, ""..., 5) = 5',
  ])
  expect(sizes(threads)).toEqual({ a: 0, b: 10 })
  const forked = imported([
    '1 openat(AT_FDCWD</d>, "a", O_RDWR|O_CREAT|O_EXCL, 0600) = 3</d/a>',
    '1 fork() = 2',
    '1 write(3</d/a>, ""..., 5) = 5',
    '1 close(3</d/a>) = 0',
    '2 write(3</d/a>, ""..., 5) = 5',
    '2 +++ exited with 0 +++',
  ])
  expect(sizes(forked)).toEqual({ a: 10 })
  expect(untimed(forked).map(({ op }) => op)).toEqual(['open', 'write', 'write', 'close'])
})

test('children that are heard of before their clone returned wait until it is known whose they are', () => {
  const open = (pid: number, name: string): string =>
    `${pid} openat(AT_FDCWD</d>, "${name}", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 3</d/${name}>`
  const result = imported([
    open(1, 'a'),
    open(2, 'b'),
    '1 clone(child_stack=NULL, flags=CLONE_VM|CLONE_FILES <unfinished ...>',
    '2 vfork( <unfinished ...>',
    '4 write(3, ""..., 7) = 7',
    '3 write(3, ""..., 9) = 9',
    '1 <... clone resumed>) = 3',
    '2 <... vfork resumed>) = 4',
  ])
  expect(sizes(result)).toEqual({ a: 9, b: 7 })
})

test('execve closes what is close-on-exec and ends the sharing', () => {
  const operations = from(
    'openat(AT_FDCWD</d>, "a", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 3</d/a>',
    'openat(AT_FDCWD</d>, "b", O_RDWR|O_CREAT|O_EXCL, 0600) = 4</d/b>',
    'fcntl(4</d/b>, F_DUPFD_CLOEXEC, 0) = 5</d/b>',
    'execve("/bin/x", ["x"], 0x1 /* 9 vars */) = 0',
    'close(4</d/b>) = 0',
  )
  expect(operations.slice(2)).toEqual([{ op: 'close', fd: 0 }, { op: 'close', fd: 1 }])
})

test('a close takes effect where it begins', () => {
  const result = imported([
    '1 openat(AT_FDCWD</d>, "a", O_RDWR|O_CREAT|O_EXCL, 0600) = 3</d/a>',
    '1 clone(child_stack=0x1, flags=CLONE_FILES) = 2',
    '1 close(3</d/a> <unfinished ...>',
    '2 openat(AT_FDCWD</d>, "b", O_RDWR|O_CREAT|O_EXCL, 0600) = 3</d/b>',
    '1 <... close resumed>) = 0',
    '2 write(3</d/b>, ""..., 5) = 5',
  ])
  expect(sizes(result)).toEqual({ a: 0, b: 5 })
})

test('a file that was there is made first, as long as the recording shows it', () => {
  const setup = (...calls: string[]): Operation[] =>
    from('openat(AT_FDCWD</d>, "x/a", O_RDWR) = 3</d/x/a>', ...calls).slice(0, 5)
  const made = (len: number): Operation[] => [
    { op: 'mkdir', path: 'x' }, { op: 'open', fd: 1, path: 'x/a', flags: ['O_WRONLY', 'O_CREAT'] },
    { op: 'write', fd: 1, len, off: 0 }, { op: 'close', fd: 1 }, { op: 'sync' },
  ]
  expect(setup('fstat(3</d/x/a>, {st_mode=S_IFREG|0644, st_size=77, ...}) = 0')).toEqual(made(77))
  expect(setup('lseek(3</d/x/a>, 0, SEEK_END) = 55')).toEqual(made(55))
  expect(setup('read(3</d/x/a>, ""..., 4096) = 4096', 'read(3</d/x/a>, ""..., 4096) = 10')).toEqual(made(4106))
  expect(setup('pread64(3</d/x/a>, ""..., 100, 4000) = 100', 'ftruncate(3</d/x/a>, 0) = 0')).toEqual(made(4100))
  expect(
    from(
      'openat(AT_FDCWD</d>, "a", O_RDWR|O_CREAT, 0600) = 3</d/a>',
      'fstat(3, {st_mode=S_IFREG|0644, st_size=9, ...}) = 0',
    ).slice(0, 2),
  ).toMatchObject([
    { op: 'open', path: 'a' },
    { op: 'write', len: 9 },
  ])
})

test('a size that is only known from reads is said to be so', () => {
  const result = imported(['1 openat(AT_FDCWD</d>, "a", O_RDONLY) = 3</d/a>', '1 read(3</d/a>, ""..., 10) = 10'])
  expect(result.warnings).toEqual(['a is taken to be 10 bytes long at the start, the end of what was read of it'])
})

test('every other call becomes its operation', () => {
  const operations = from(
    'openat(AT_FDCWD</d>, "a", O_RDWR|O_CREAT|O_EXCL|O_DSYNC, 0640) = 3</d/a>', 'dup3(3</d/a>, 7, O_CLOEXEC) = 7</d/a>',
    'pwritev(7</d/a>, [{iov_base=""..., iov_len=4}, {iov_base=""..., iov_len=8}], 2, 16) = 10',
    'pwritev2(3</d/a>, [{iov_base=""..., iov_len=4}], 1, -1, RWF_DSYNC) = 4',
    'fallocate(3</d/a>, FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE, 0, 4096) = 0',
    'sync_file_range(3</d/a>, 0, 0, 0) = 0',
    'copy_file_range(3</d/a>, [0], 3</d/a>, [4096], 100, 0) = 50',
    'chdir("/d") = 0',
    'truncate("a", 9) = 0',
    'utimensat(AT_FDCWD</d>, "a", [{tv_sec=1, tv_nsec=2000}, {tv_sec=3, tv_nsec=0}], 0) = 0',
    'fchmod(3</d/a>, 0600) = 0',
    'syncfs(3</d/a>) = 0',
    'mkdirat(AT_FDCWD</d>, "x", 0755) = 0',
    'openat(AT_FDCWD</d>, "x", O_RDONLY|O_DIRECTORY) = 4</d/x>',
    'renameat(AT_FDCWD</d>, "a", 4</d/x>, "../x/./b") = 0',
    'unlinkat(4</d/x>, "b", 0) = 0',
    'close_range(3, ~0U, 0) = 0',
    'unlinkat(AT_FDCWD</d>, "x", AT_REMOVEDIR) = 0',
  )
  expect(operations.slice(1)).toEqual([
    { op: 'writev', fd: 0, lens: [4, 6], off: 16 }, { op: 'write', fd: 0, len: 4, sync: true },
    { op: 'fallocate', fd: 0, mode: 'punch', off: 0, len: 4096 },
    { op: 'read', fd: 0, len: 50, off: 0 },
    { op: 'write', fd: 0, len: 50, off: 4096 },
    { op: 'truncate', path: 'a', len: 9 },
    { op: 'utimes', path: 'a', atime: 1_000_002, mtime: 3_000_000 },
    { op: 'chmod', path: 'a', mode: 0o600 },
    { op: 'sync' },
    { op: 'mkdir', path: 'x', mode: 0o755 },
    { op: 'open', fd: 1, path: 'x', flags: ['O_RDONLY', 'O_DIRECTORY'] },
    { op: 'rename', from: 'a', to: 'x/b' },
    { op: 'unlink', path: 'x/b' },
    { op: 'close', fd: 0 },
    { op: 'close', fd: 1 },
    { op: 'rmdir', path: 'x' },
  ])
  expect(operations[0]).toEqual({
    op: 'open',
    fd: 0,
    path: 'a',
    flags: ['O_RDWR', 'O_CREAT', 'O_EXCL', 'O_DSYNC'],
    mode: 0o640,
  })
})

test('paths are found without -y, from the directory in which the command was started', () => {
  const lines = [
    '1 mkdir("x", 0755) = 0',
    '1 chdir("x") = 0',
    '1 open("a", O_RDWR|O_CREAT|O_EXCL, 0600) = 3',
    '1 write(3, ""..., 5) = 5',
    '1 open("../y", O_WRONLY|O_CREAT|O_EXCL, 0600) = 4',
    '1 open("../../z", O_WRONLY|O_CREAT, 0600) = 5',
    '1 write(5, ""..., 5) = 5',
  ]
  expect(sizes(importStrace(lines, { name: 'w', root: '/d', cwd: '/d' }))).toEqual({ 'x/a': 5, y: 0 })
  expect(imported(lines).ignored).toMatchObject({
    'relative paths while the working directory is not known (give it, or record with -y)': 4,
  })
})

test('what the recording cannot show is said', () => {
  const { header, ignored, warnings } = imported([
    '1 openat(AT_FDCWD</d>, "a", O_RDWR|O_CREAT|O_EXCL, 0600) = 3</d/a>',
    '1 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3</d/a>, 0) = 0x7f0000000000',
    '1 io_uring_setup(8, {flags=0}) = 4',
    '1 write(9</d/log>, ""..., 5) = 5',
    '1 write(1</dev/pts/0>, ""..., 5) = 5',
    '1 write(2<pipe:[7]>, ""..., 5) = 5',
    '1 unlink("/d/b") = -1 ENOENT (No such file or directory)',
    '1 rename("/elsewhere/f", "/d/f") = 0',
  ])
  expect(header.blind).toEqual([
    'stores through a shared mapping of a',
    'operations through io_uring',
    'files moved into the root',
  ])
  expect(warnings).toEqual(['fd 9 (log) was open before the recording began; its file position is taken to be 0'])
  expect(ignored).toMatchObject({ 'outside the root': 2, 'pipes, sockets and terminals': 1, 'failed calls': 1 })
})

test('a file that something unseen made is made where it first shows', () => {
  const { operations, warnings } = imported(['1 mkdir("/d/x", 0755) = 0', '1 truncate("/d/x/a", 4) = 0'])
  expect(operations.map(({ op }) => op)).toEqual(['mkdir', 'open', 'close', 'truncate'])
  expect(warnings[0]).toContain('x/a was made by something that the recording did not see')
})

test('a line that is none of strace is named, unless it is the last', () => {
  expect(() => imported(['1 sync() = 0', 'what is this', '1 sync() = 0']))
    .toThrow(/^w\.strace:2: not a line of strace: "what is this"; record with: strace -f -y -ttt/)
  expect(imported(['1 sync() = 0', '1 fsync(3</d/a']).ignored).toEqual({ 'last line cut off': 1 })
  expect(imported([]).warnings).toEqual(['nothing in the recording is below the root /d; is it the real path?'])
})
