import { describe, expect, test } from 'vitest'
import type { AnyStrategy } from '../fs/strategy.ts'
import { getBlock } from '../strategies/get-block.ts'
import { reserveAllocate } from '../strategies/reserve-allocate.ts'
import { strategies } from '../strategies/index.ts'
import { CLAIMS } from './claims.ts'
import { faultPass, groundDevice, playsOf, sayReplay, selfTest, verdicts } from './fault-pass.ts'
import { play } from './play.ts'
import { SCENES, scene } from './scene.ts'
import { MUTANTS } from './self-test/mutants.ts'

const fixed = { format: 'ext4', blockSize: 4096, folioOrder: 9 } as const
const ground = { device: groundDevice(fixed), maxFolioOrder: 9 }
const one = (name: string, strategy: AnyStrategy, fail: number[] = []) =>
  play(scene(name)!, { ...ground, strategy }, { fail })

describe('a play', () => {
  test('is the same each time', () => {
    const [a, b] = [one('grow', reserveAllocate, [1]), one('grow', reserveAllocate, [1])]
    expect({ ...a, image: a.image!.image() }).toEqual({ ...b, image: b.image!.image() })
  })

  test('of every scene without faults finds nothing wrong with reserve-allocate, and writes what it should', () => {
    for (const { name, write } of SCENES) {
      const p = one(name, reserveAllocate)
      expect([name, p.findings]).toEqual([name, []])
      if (name === 'full') expect(p.outcome).toSatisfy((o) => o === 'ENOSPC' || (o as number) < write.len)
      else expect(p.outcome).toBe(name === 'efault' ? 'EFAULT' : (write.readable ?? write.len))
    }
  })

  test('names the site that failed, and costs only the judged write', () => {
    const p = one('new-file', reserveAllocate, [1])
    expect(p.failed).toEqual([p.reached[1]])
    expect(p.cost.writes).toBeLessThanOrEqual(1)
  })
})

describe('pairs', () => {
  const paired = (strategy: AnyStrategy) => faultPass({ ...ground, strategy }, { pairs: true })

  test('an undo of counters has nothing that can fail; one that frees blocks has', () => {
    const { after, broken, plays } = paired(reserveAllocate)
    expect(after['ENOMEM.record']).toEqual([])
    expect(after['ENOSPC.reserve']).toEqual([])
    expect(broken).toEqual({})
    expect(plays).toBeGreaterThan(100)
    const blocks = paired(getBlock)
    expect(blocks.after['ENOSPC.allocate']).toContain('EIO.free')
    expect(blocks.broken).toEqual({})
  })

  test('are plays with two sites that fail, named so that they can be played again', () => {
    const pair = [...playsOf(scene('grow')!, { ...ground, strategy: getBlock }, { pairs: true })]
      .find((p) => p.plan.fail.length === 2 && p.failed.includes('EIO.free'))!
    expect(pair.failed).toHaveLength(2)
    expect(sayReplay(pair)).toMatch(/^grow@\d+@\d+$/)
    expect(pair.image).toBeNull()
    expect(pair.findings).toEqual([])
  })
})

describe('the self-test', () => {
  test('every claim that the pass checks has a mutant, and every mutant is killed', () => {
    const checked = CLAIMS.filter((c) => c.elsewhere === undefined).map((c) => c.id)
    expect(MUTANTS.map((m) => m.claim).sort()).toEqual([...checked].sort())
    for (const format of ['ext4', 'ext2'] as const) {
      const device = groundDevice({ ...fixed, format })
      expect(selfTest({ device, maxFolioOrder: 9 }).filter((k) => !k.killed)).toEqual([])
    }
  })
})

describe('verdicts', () => {
  const kills = CLAIMS.map((c) => ({ mutant: 'm', source: '', claim: c.id, killed: true, plays: 1, by: null }))
  const pass = faultPass({ ...ground, strategy: getBlock })
  const of = (id: string, killed = kills) => verdicts(pass, killed, () => false).find((v) => v.claim === id)!

  test('a tick needs a mutant that was killed', () => {
    expect(of('I11').status).toBe('pass')
    expect(of('I11', kills.filter((k) => k.claim !== 'I11')))
      .toMatchObject({ status: 'untested', reason: expect.stringContaining('no mutant') })
  })

  test('what a design cannot break is n.a., what needs more than this pass is untested', () => {
    expect(of('I3')).toEqual({ claim: 'I3', status: 'n.a.', reason: 'this design never reserves' })
    expect(of('I28').status).toBe('untested')
  })

  test('what is broken is a failure, unless the design declares it', () => {
    const late = strategies.find((s) => s.name === 'reserve-copy-allocate')!
    const broken = faultPass({ ...ground, strategy: late })
    expect(verdicts(broken, kills, () => false).find((v) => v.claim === 'I12')!.status).toBe('fail')
    const declared = verdicts(broken, kills, (c) => c.declared?.(late) ?? false)
    expect(declared.find((v) => v.claim === 'I12')!.status).toBe('declared')
  })
})
