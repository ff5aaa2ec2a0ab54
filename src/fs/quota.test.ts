import { isLeft } from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { quotaNow } from '../lab/inspect.ts'
import { freshSession, mount, type Session } from '../lab/session.ts'
import { reserveAllocate } from '../strategies/reserve-allocate.ts'
import { getBlock } from '../strategies/get-block.ts'
import { FaultPlan } from '../sim/fault-plan.ts'
import { Inode, S_IFREG } from './inode.ts'
import { Quota } from './quota.ts'
import type { AnyStrategy } from './strategy.ts'

const file = (ino: number, uid: number): Inode => Object.assign(new Inode(ino, S_IFREG), { uid })

describe('Quota', () => {
  test('charges an owner with what his inodes have and were promised', () => {
    const quota = new Quota({ 7: 10 })
    const [a, b] = [file(12, 7), file(13, 7)]
    quota.reserve(a, 4)
    quota.settle(b, 3)
    expect(quota.of(7)).toEqual({ used: 3, reserved: 4 })
    expect(quota.room(7)).toBe(3)
    quota.reserve(a, -4)
    quota.settle(a, 4)
    expect(quota.of(7)).toEqual({ used: 7, reserved: 0 })
    expect(quota.room(8)).toBe(Infinity)
    expect(quota.users).toEqual([7])
  })

  test('settling twice charges once', () => {
    const quota = new Quota()
    const a = file(12, 7)
    quota.settle(a, 5)
    quota.settle(a, 5)
    expect(quota.of(7)).toEqual({ used: 5, reserved: 0 })
  })

  test('a transfer moves what is charged, and no more', () => {
    const quota = new Quota()
    const [a, b] = [file(12, 7), file(13, 7)]
    quota.settle(a, 5)
    quota.reserve(a, 2)
    quota.settle(b, 1)
    quota.transfer(a, 8)
    expect([quota.of(7), quota.of(8), a.uid]).toEqual([{ used: 1, reserved: 0 }, { used: 5, reserved: 2 }, 8])
    quota.transfer(file(14, 7), 8)
    expect(quota.of(8)).toEqual({ used: 5, reserved: 2 })
  })

  test('giving back twice, and a change of owner behind its back, are bugs', () => {
    const quota = new Quota()
    const a = file(12, 7)
    quota.reserve(a, 2)
    expect(() => quota.reserve(a, -3)).toThrow('gives back more than it has')
    const b = file(13, 7)
    quota.settle(b, 1)
    b.uid = 8
    expect(() => quota.settle(b, 2)).toThrow('without a transfer')
  })

  test('a limit is a whole number of blocks', () => {
    expect(() => new Quota({ 7: -1 })).toThrow('the limit of user 7 is -1')
    expect(() => new Quota({ 7: 1.5 })).toThrow('whole number')
  })

  test('goes back to a checkpoint again and again', () => {
    const quota = new Quota()
    const a = file(12, 7)
    quota.settle(a, 5)
    const restore = quota.checkpoint()
    for (let i = 0; i < 2; i++) {
      quota.settle(a, 9)
      quota.reserve(a, 1)
      restore()
      expect(quota.of(7)).toEqual({ used: 5, reserved: 0 })
    }
  })
})

const BLOCK = 4096

/** A file `f` of user 7, who may have `limit` blocks. */
const withLimit = (limit: number, strategy: AnyStrategy = reserveAllocate): Session & { readonly fd: number } => {
  const session = freshSession({ format: 'ext4', strategy, size: 1 << 22, quota: { 7: limit } })
  const fd = session.posix.open('f', ['O_RDWR', 'O_CREAT'])
  if (isLeft(fd)) throw new Error(fd.left)
  session.posix.chown('f', 7, -1)
  return { ...session, fd: fd.right }
}

describe('a file system with a quota', () => {
  test('delayed blocks are promised, then used', () => {
    const { posix, fs, fd } = withLimit(8)
    posix.write(fd, Buffer.alloc(3 * BLOCK))
    expect(fs.quota!.of(7)).toEqual({ used: 0, reserved: 3 })
    posix.sync()
    expect(fs.quota!.of(7)).toEqual({ used: 3, reserved: 0 })
    posix.ftruncate(fd, BLOCK)
    expect(fs.quota!.of(7)).toEqual({ used: 1, reserved: 0 })
    posix.close(fd)
    posix.unlink('f')
    expect(fs.quota!.of(7)).toEqual({ used: 0, reserved: 0 })
  })

  test.each([reserveAllocate, getBlock])('$name: who may have no more gets EDQUOT, and nothing is counted', (strategy) => {
    const { posix, fs, fd } = withLimit(3, strategy)
    expect(posix.pwrite(fd, Buffer.alloc(3 * BLOCK), 0)).toEqual({ _tag: 'Right', right: 3 * BLOCK })
    const was = fs.quota!.of(7)
    expect(posix.pwrite(fd, Buffer.alloc(BLOCK), 3 * BLOCK)).toEqual({ _tag: 'Left', left: 'EDQUOT' })
    expect(fs.quota!.of(7)).toEqual(was)
    expect(posix.pwrite(fd, Buffer.alloc(BLOCK), 0)._tag).toBe('Right')
    expect(posix.fsync(fd)._tag).toBe('Right')
    posix.ftruncate(fd, 2 * BLOCK)
    expect(posix.pwrite(fd, Buffer.alloc(BLOCK), 2 * BLOCK)._tag).toBe('Right')
  })

  test('map blocks that delayed ones may need count, too', () => {
    const { posix, fs, fd } = withLimit(4)
    expect(posix.pwrite(fd, Buffer.alloc(3 * BLOCK), 0)._tag).toBe('Right')
    expect(posix.pwrite(fd, Buffer.alloc(BLOCK), 3 * BLOCK)).toEqual({ _tag: 'Left', left: 'EDQUOT' })
    expect(fs.quota!.of(7)).toEqual({ used: 0, reserved: 3 })
  })

  test('a directory that grows is charged at once', () => {
    const session = withLimit(9)
    const { posix, fs } = session
    const was = fs.quota!.of(0).used
    for (let i = 0; i < 40; i++) posix.open(`${i}`.padEnd(200, 'x'), ['O_WRONLY', 'O_CREAT'])
    expect(fs.quota!.of(0).used).toBe(was + 2)
    expect(quotaNow(session)).toEqual([])
  })

  test('map blocks that a removed file could not give back are nobody\'s', () => {
    let armed = false
    const choices = { choose: (_n: number, _kind: string, site: string) => (armed && site === 'EIO.shrink' ? 1 : 0) }
    const session = freshSession({ format: 'ext2', blockSize: 1024, strategy: getBlock, size: 1 << 22, quota: {}, choices })
    const { posix, fs } = session
    const was = fs.quota!.of(0).used
    posix.open('f', ['O_RDWR', 'O_CREAT'])
    posix.write(0, Buffer.alloc(20 * 1024))
    expect(fs.quota!.of(0).used).toBe(was + 21)
    posix.close(0)
    armed = true
    posix.unlink('f')
    expect([fs.lostBlocks, fs.quota!.of(0).used, quotaNow(session)]).toEqual([1, was, []])
  })

  test('a disk without room is ENOSPC, whatever the quota says', () => {
    const { posix, fd } = withLimit(1 << 20)
    const errnos = new Set<string>()
    for (let pos = 0; pos < 1 << 23; pos += 1 << 18) {
      const n = posix.pwrite(fd, Buffer.alloc(1 << 18), pos)
      if (isLeft(n)) errnos.add(n.left)
    }
    expect([...errnos]).toEqual(['ENOSPC'])
  })

  test('another owner is not refused, and takes over what is charged only if he may', () => {
    const { posix, fs, fd } = withLimit(3)
    posix.pwrite(fd, Buffer.alloc(3 * BLOCK), 0)
    expect(posix.chown('f', 8, -1)._tag).toBe('Right')
    expect([fs.quota!.of(7), fs.quota!.of(8)]).toEqual([{ used: 0, reserved: 0 }, { used: 0, reserved: 3 }])
    expect(posix.pwrite(fd, Buffer.alloc(BLOCK), 3 * BLOCK)._tag).toBe('Right')
    expect(posix.chown('f', 7, -1)).toEqual({ _tag: 'Left', left: 'EDQUOT' })
    // Four delayed blocks, and the map block that they may need.
    expect(fs.quota!.of(8)).toEqual({ used: 0, reserved: 5 })
  })

  test('the next mount counts the inodes, and finds the same', () => {
    const { posix, fs, fd, device } = withLimit(9)
    posix.mkdir('d')
    posix.symlink('x'.repeat(100), 'd/s')
    posix.pwrite(fd, Buffer.alloc(5 * BLOCK), 0)
    posix.close(fd)
    posix.sync()
    const was = fs.quota!.users.map((uid) => fs.quota!.of(uid))
    posix.unmount()
    const again = mount(device, { strategy: reserveAllocate, quota: { 7: 9 } })
    if (isLeft(again)) throw new Error(again.left.message)
    const { quota, format } = again.right.fs
    expect(quota!.users.map((uid) => quota!.of(uid))).toEqual(was)
    const used = quota!.users.reduce((sum, uid) => sum + quota!.of(uid).used, 0)
    expect(used).toBe(format.totalBlocks - format.freeBlocks - format.overheadBlocks)
  })

  test.each(['EDQUOT.reserve', 'EDQUOT.allocate'])('%s is a fault site where there is a quota', (site) => {
    const strategy = site === 'EDQUOT.reserve' ? reserveAllocate : getBlock
    const sites = (quota: object): readonly string[] => {
      const choices = new FaultPlan()
      const { posix } = freshSession({ format: 'ext4', strategy, size: 1 << 22, choices, ...quota })
      posix.open('f', ['O_RDWR', 'O_CREAT'])
      posix.write(0, Buffer.alloc(BLOCK))
      return choices.reached
    }
    expect(sites({ quota: {} })).toContain(site)
    expect(sites({})).not.toContain(site)
  })

  test('the mirror is told apart from one that is off by one', () => {
    const { posix, fs, fd, ...session } = withLimit(9)
    posix.pwrite(fd, Buffer.alloc(BLOCK), 0)
    expect(quotaNow({ ...session, posix, fs })).toEqual([])
    fs.quota!.reserve(fs.inodes.get(12) ?? [...fs.inodes.values()].at(-1)!, 1)
    expect(quotaNow({ ...session, posix, fs })).toMatchObject([{ claim: 'I27' }])
  })
})
