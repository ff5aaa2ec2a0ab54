/**
 * Python: a counterexample of one process as a script that stands alone, for a live kernel.
 *
 * The script needs python3 and its standard library, mke2fs, mount, and root. It makes a file system in a file of a temporary
 * directory, does the calls, prints what it saw beside what perform-write's model saw, unmounts and removes everything.
 * Exit 0: the claim was not broken there; 1: it was.
 */
import type { CounterexampleFile } from '../lab/check/counterexample.ts'
import { type Action, numbered, sayAction, sayConfig, tagByte } from '../lab/check/program.ts'
import { obstacleOf, type ReplayKernel } from '../oracle/kernel-replay.ts'

/** What the script is to show. */
export interface PythonQuestion {
  readonly kernel: ReplayKernel
  /** The family of the claim: `space` is judged by blocks. */
  readonly family: string
}

/** A write as long as the largest folio: where a short program shows nothing, a kernel with large folios may. */
const SCALED = 2 * 1024 * 1024

const comment = (text: string): string => text.split('\n').map((l) => `# ${l}`.trimEnd()).join('\n')

/** One action as a call of the script. */
const callOf = (a: Action, tag: number): string => {
  const text = JSON.stringify(sayAction(a))
  const key = (name: string, value: unknown): string => (value === undefined ? '' : `, ${name}=${value === true ? 'True' : String(value)}`)
  switch (a.op) {
    case 'write':
      return `write(${text}, ${a.pos}, ${a.len}, tag=${tagByte(tag, 0) >> 4}${key('readable', a.readable)}${key('append', a.append)}` +
        `${key('direct', a.direct)}${key('dsync', a.sync)}${key('nowait', a.nowait)}${key('itself', a.self)})`
    case 'store': return `store(${text}, ${a.pos}, ${a.len}, tag=${tagByte(tag, 0) >> 4})`
    case 'read': return `read(${text}, ${a.pos}, ${a.len}${key('direct', a.direct)})`
    case 'load': return `read(${text}, ${a.pos}, ${a.len})`
    case 'punch': return `fallocate(${text}, 3, ${a.pos}, ${a.len})`
    case 'zero': return `fallocate(${text}, 16, ${a.pos}, ${a.len})`
    case 'allocate': return `fallocate(${text}, ${a.keep === true ? 1 : 0}, ${a.pos}, ${a.len})`
    case 'truncate': return `truncate(${text}, ${a.size})`
    case 'fsync': case 'writeback': return `simple(${text}, lambda: os.fsync(fd()))`
    case 'sync': return `simple(${text}, os.sync)`
    case 'drop': case 'reclaim': return `simple(${text}, lambda: os.posix_fadvise(fd(), 0, 0, os.POSIX_FADV_DONTNEED))`
    case 'stat': return `simple(${text}, lambda: os.fstat(fd()).st_size)`
    case 'dma': return ''
  }
}

/** The script, or why there can be none. */
export type Script = { readonly text: string } | { readonly obstacle: string }

/** The script for a counterexample. */
export const pythonOf = (c: CounterexampleFile, { kernel, family }: PythonQuestion): Script => {
  const obstacle = obstacleOf(c)
  if (obstacle !== null) return { obstacle: `cannot be shown by a script on a kernel: ${obstacle}` }
  const { config } = c.program
  const all = numbered(c.program)
  const mayScale = family === 'space' && config.leave === undefined &&
    all.some(({ action: a }) => a.op === 'write' && a.readable !== undefined && a.readable < a.len)
  const head = [
    `${c.claim}: ${c.expected}`, `Found by perform-write ${c.version} with ${c.strategy.name} on ${sayConfig(config)}:`, c.actual, '',
    `This script does the same calls on the ${kernel} of this machine's kernel. It needs root, python3, mke2fs and mount; it works in a`,
    'temporary directory and removes it. Exit 0: the claim was not broken here; 1: it was; 3: this machine stands in the way.',
    ...(mayScale ? ['', 'Where the calls as they were found show nothing, the writes that are cut short are scaled up to',
      `${SCALED} bytes and tried once more (a kernel may need a large folio); the script says so.`] : []),
  ].join('\n')
  const lines = all.map(({ action, tag }) => `    ${callOf(action, tag)}`)
  const { length } = c.program.before
  const calls = [...lines.slice(0, length), '    before_calls_end()', ...lines.slice(length)]
  const python = (b: boolean): string => (b ? 'True' : 'False')
  const setting = [`'${kernel}'`, config.blockSize, config.leave ?? 'None', python(family === 'space'), mayScale ? SCALED : 'None']
  return {
    text: `${[
      '#!/usr/bin/env python3', comment(head), PRELUDE, `FS, BLOCK, LEAVE, SPACE, SCALED = ${setting.join(', ')}`, MACHINE,
      `def calls(before_calls_end):\n${calls.join('\n')}`, MAIN,
    ].join('\n\n')}\n`,
  }
}

const PRELUDE = `import ctypes, errno, mmap, os, subprocess, sys, tempfile

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.pwrite.restype = libc.write.restype = ctypes.c_ssize_t
libc.pwrite.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long]
libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
PAGE = 4096
UP = lambda n: (n + PAGE - 1) // PAGE * PAGE`

const MACHINE = `fds, expected, findings, scale = {}, bytearray(), [], None

def fd(flags=0):
    if flags not in fds:
        fds[flags] = os.open(mountpoint + '/f', os.O_RDWR | os.O_CREAT | flags, 0o644)
    return fds[flags]

def put(pos, data):
    if len(expected) < pos + len(data):
        expected.extend(bytes(pos + len(data) - len(expected)))
    expected[pos:pos + len(data)] = data

def payload(tag, pos, n):
    # High nibble: who wrote it; low nibble: the 512-byte sector of the file.
    return bytes((tag << 4) | (((pos + i) // 512) & 15) for i in range(n))

def say(text, result):
    print('  %-62s => %s' % (text, result))

def name(code):
    return errno.errorcode.get(code, str(code))

def memory(n, readable, data):
    # 'readable' bytes that end at a page with PROT_NONE: the copy faults at exactly that byte.
    room = UP(readable)
    total = room + UP(n) + PAGE
    at = libc.mmap(None, total, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if readable < n and libc.mprotect(at + room, total - room, 0) != 0:
        raise OSError(ctypes.get_errno(), 'mprotect')
    start = at + (room - readable if readable < n else 0)
    ctypes.memmove(start, data, readable)
    return start

def write(text, pos, n, tag, readable=None, append=False, direct=False, dsync=False, nowait=False, itself=None):
    if readable is not None and scale is not None:
        n = max(n, scale)
        text += ' (scaled up to %d bytes)' % n
    able = n if readable is None else readable
    if append:
        pos = os.fstat(fd()).st_size
    data = payload(tag, 0, 1) * able if append else payload(tag, pos, able)
    to = fd((os.O_APPEND if append else 0) | (os.O_DIRECT if direct else 0) | (os.O_DSYNC if dsync else 0))
    if itself is not None or nowait:
        try:
            if itself is not None:
                source = memoryview(mmap.mmap(fd(), itself * PAGE + n))[itself * PAGE:itself * PAGE + n]
                data = bytes(expected[itself * PAGE:itself * PAGE + n])
            done = os.pwritev(to, [source if itself is not None else data], pos, os.RWF_NOWAIT if nowait else 0)
        except OSError as e:
            done = -e.errno
    else:
        source = memory(n, able, data)
        done = libc.write(to, source, n) if append else libc.pwrite(to, source, n, pos)
        if done < 0:
            done = -ctypes.get_errno()
    say(text, done if done >= 0 else name(-done))
    if done > able or (done == 0 and n > 0):
        findings.append('%s returned %d' % (text, done))
    if done > 0:
        put(pos, data[:done])

def store(text, pos, n, tag):
    n = min(n, os.fstat(fd()).st_size - pos)
    if n > 0:
        with mmap.mmap(fd(), pos + n) as m:
            m[pos:pos + n] = payload(tag, pos, n)
        put(pos, payload(tag, pos, n))
    say(text, max(n, 0))

def read(text, pos, n, direct=False):
    if direct:
        room = mmap.mmap(-1, n)
        got = room[:os.preadv(fd(os.O_DIRECT), [room], pos)]
    else:
        got = os.pread(fd(), n, pos)
    say(text, len(got))
    if got != bytes(expected[pos:pos + n]):
        findings.append(text + ' returned other bytes than were written')

def fallocate(text, mode, pos, n):
    done = libc.fallocate(fd(), mode, pos, n)
    say(text, 'ok' if done == 0 else name(ctypes.get_errno()))
    if done != 0:
        return
    end = pos + n
    if mode in (0, 16) and len(expected) < end:
        expected.extend(bytes(end - len(expected)))
    if mode in (3, 16):
        end = min(end, len(expected))
        if end > pos:
            expected[pos:end] = bytes(end - pos)

def truncate(text, size):
    try:
        os.ftruncate(fd(), size)
        say(text, 'ok')
    except OSError as e:
        return say(text, name(e.errno))
    del expected[size:]
    expected.extend(bytes(size - len(expected)))

def simple(text, call):
    try:
        result = call()
        say(text, 'ok' if result is None else result)
    except OSError as e:
        say(text, name(e.errno))

def run(program, *args):
    path = os.environ.get('PATH', '') + ':/sbin:/usr/sbin'
    done = subprocess.run([program, *args], capture_output=True, text=True, env={**os.environ, 'PATH': path})
    if done.returncode != 0:
        print('%s: %s' % (program, (done.stderr or done.stdout).strip()), file=sys.stderr)
        sys.exit(3)

def free():
    return os.statvfs(mountpoint).f_bfree

def room():
    # Without what ext4 keeps for itself.
    return os.statvfs(mountpoint).f_bavail

def ballast():
    # Fill the disk but for LEAVE blocks.
    os.sync()
    with open(mountpoint + '/ballast', 'wb', buffering=0) as f:
        while room() > LEAVE:
            try:
                f.write(bytes(max(1, (room() - LEAVE) * 3 // 4) * BLOCK))
                os.fsync(f.fileno())
            except OSError:
                break

def let_go():
    for f in fds.values():
        os.close(f)
    fds.clear()
    run('umount', mountpoint)`

const MAIN = `def attempt():
    fds.clear(), expected.clear(), findings.clear()
    image = directory + '/image'
    with open(image, 'wb') as f:
        f.truncate((64 if LEAVE is None else 8) << 20)
    run('mke2fs', '-q', '-F', '-t', FS, '-b', str(BLOCK), '-m', '0', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image)
    run('mount', '-o', 'loop', '-t', FS, image, mountpoint)
    try:
        fd()
        os.sync()
        first = free()
        calls(lambda: ballast() if LEAVE is not None else None)
        os.sync()
        stat, after = os.fstat(fd()), free()
        seen = os.pread(fd(), stat.st_size, 0)
    finally:
        let_go()
    run('mount', '-o', 'loop', '-t', FS, image, mountpoint)
    try:
        cold = free()
        with open(mountpoint + '/f', 'rb') as f:
            again = f.read()
    finally:
        let_go()
    print('  after sync: size %d, st_blocks * 512 = %d, %d blocks taken; after a remount %d' % (
        stat.st_size, stat.st_blocks * 512, first - after, first - cold))
    if SPACE:
        return ['%d block(s) of %d bytes held for nothing until the inode was evicted' % (cold - after, BLOCK)] if cold > after else []
    if stat.st_size != len(expected):
        findings.append('the size is %d, the calls leave %d' % (stat.st_size, len(expected)))
    at = next((i for i, (a, b) in enumerate(zip(seen, expected)) if a != b), None)
    if at is not None:
        findings.append('byte %d is 0x%02x, the calls leave 0x%02x' % (at, seen[at], expected[at]))
    if again != seen:
        findings.append('the file has other bytes after a remount')
    return list(findings)

if os.geteuid() != 0:
    print('not root: mounting needs it; run this as root', file=sys.stderr)
    sys.exit(3)
with tempfile.TemporaryDirectory(prefix='perform-write-') as directory:
    mountpoint = directory + '/mnt'
    os.mkdir(mountpoint)
    print('Linux %s, %s with blocks of %d' % (os.uname().release, FS, BLOCK))
    broken = attempt()
    if not broken and SCALED is not None:
        scale = SCALED
        print('not shown; once more, scaled up')
        broken = attempt()
for what in broken:
    print('BROKEN:', what)
print('the claim is broken here' if broken else 'the claim is not broken here: this kernel does not have the bug, or has it repaired')
sys.exit(1 if broken else 0)`
