/** Every scene of the quick pass with every fault: no design breaks a claim that it does not declare. */
import { describe, expect, test } from 'vitest'
import { faultPass, groundDevice, verdicts } from '../lab/fault-pass.ts'
import { strategies } from './index.ts'

const GROUNDS = [
  { format: 'ext4', blockSize: 4096, folioOrder: 2 }, { format: 'ext2', blockSize: 1024, folioOrder: 0 },
] as const

describe.each(GROUNDS)('$format, blocks of $blockSize, folios up to order $folioOrder', (ground) => {
  const device = groundDevice(ground)
  test.each(strategies)('$name', (strategy) => {
    const pass = faultPass({ device, maxFolioOrder: ground.folioOrder, strategy })
    const failed = verdicts(pass, [], (c) => c.declared?.(strategy) ?? false).filter((v) => v.status === 'fail')
    expect(failed).toEqual([])
  })
})
