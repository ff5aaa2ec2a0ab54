import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { availability } from './availability.ts'
import { run, runOrThrow, runSync } from './process.ts'
import { Scratch } from './scratch.ts'

const here = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href)

/** Run source text in a Node of its own until it prints a line. */
const until = async (source: string) => {
  const child = spawn(process.execPath, ['--input-type=module', '--disable-warning=ExperimentalWarning', '-e', source])
  onTestFinished(() => { child.kill('SIGKILL') })
  const line = once(child.stdout, 'data').then(([data]) => String(data).trim())
  const ended = once(child, 'exit').then(([code, signal]) => ({ code: code as number | null, signal: signal as string | null }))
  const said = await Promise.race([line, ended])
  if (typeof said !== 'string') throw new Error(`it ended (${said.code}) before it said anything`)
  return { child, said, ended }
}

test('clean-ups run in reverse order, each once, and the directory goes last', () => {
  const scratch = new Scratch('perform-write-test')
  const order: string[] = []
  scratch.defer(() => order.push(`first, directory ${existsSync(scratch.directory)}`))
  const early = scratch.defer(() => order.push('second'))
  scratch.defer(() => order.push('third'))
  early()
  scratch.close()
  scratch.close()
  expect(order).toEqual(['second', 'third', 'first, directory true'])
  expect(existsSync(scratch.directory)).toBe(false)
})

test('a clean-up that fails is told after the others ran, and the directory is kept', () => {
  const scratch = new Scratch('perform-write-test')
  onTestFinished(() => { runSync('rmdir', [scratch.directory]) })
  let others = 0
  scratch.defer(() => { others++ })
  scratch.defer(() => { throw new Error('target is busy') })
  scratch.defer(() => { others++ })
  expect(() => scratch.close()).toThrow('target is busy')
  expect([others, existsSync(scratch.directory)]).toEqual([2, true])
})

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s cleans up and still ends the process', async signal => {
  const { child, said, ended } = await until(`
    import { Scratch } from ${here('./scratch.ts')}
    console.log(new Scratch('perform-write-test').directory)
    setInterval(() => {}, 1000)`)
  expect(existsSync(said)).toBe(true)
  child.kill(signal)
  expect(await ended).toEqual({ code: null, signal })
  expect(existsSync(said)).toBe(false)
})

const can = availability({ linux: true, root: true, loop: true, programs: { losetup: 'util-linux', mke2fs: 'e2fsprogs' } })

test(can.ok ? 'a mounted image is unmounted and its loop device detached on SIGINT' : `mounts: ${can.why}`, async () => {
  if (!can.ok) return expect(can.why).toMatch(/not root|not Linux|loop|not installed/)
  using scratch = new Scratch('perform-write-test')
  const image = scratch.path('image')
  await runOrThrow('mke2fs', ['-q', '-F', '-t', 'ext2', image, '1M'])
  const { child, said, ended } = await until(`
    import { Scratch } from ${here('./scratch.ts')}
    import { mountImage } from ${here('./loop-mount.ts')}
    const mounted = await mountImage(new Scratch('perform-write-test'), ${JSON.stringify(image)}, 'ext2')
    console.log(mounted.directory)
    setInterval(() => {}, 1000)`)
  expect(readFileSync('/proc/self/mounts', 'utf8')).toContain(said)
  child.kill('SIGINT')
  await ended
  expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(said)
  expect((await run('losetup', ['-j', image])).stdout).toBe('')
})

test('a program that cannot be started is named; one that fails is quoted', async () => {
  await expect(run('no-such-program', [])).rejects.toThrow('cannot run no-such-program')
  using scratch = new Scratch('perform-write-test')
  writeFileSync(scratch.path('text'), 'not an image')
  await expect(runOrThrow('ls', [scratch.path('nothing')])).rejects.toThrow(/^ls .*nothing: exit 2: .*No such file/)
  expect((await run('sh', ['-c', 'kill -9 $$'])).code).toBe(255)
})
