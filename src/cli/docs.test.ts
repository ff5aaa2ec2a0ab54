import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { faultPass, groundDevice } from '../lab/fault-pass.ts'
import { HOOKS } from '../lab/watch.ts'
import { loadPlugin } from './plugin.ts'

const guide = readFileSync(new URL('../../docs/writing-a-strategy.md', import.meta.url), 'utf8')
const code = /```ts\n([\s\S]*?)```/.exec(guide)![1]!

let folder: string
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'perform-write-docs-'))))
afterAll(() => rmSync(folder, { recursive: true }))

describe('docs/writing-a-strategy.md', () => {
  test('its design loads as a plugin and keeps every claim that a fault can break', async () => {
    const file = join(folder, 'mine.ts')
    writeFileSync(file, code)
    const strategy = await loadPlugin(file)
    for (const fixed of [
      { format: 'ext4', blockSize: 4096, folioOrder: 9 }, { format: 'ext2', blockSize: 1024, folioOrder: 0 },
    ] as const) {
      const pass = faultPass({ strategy, device: groundDevice(fixed), maxFolioOrder: fixed.folioOrder })
      expect(pass.broken).toEqual({})
      expect(pass.faulted).toBeGreaterThan(20)
    }
  })

  test('it says something of every hook', () => {
    for (const hook of HOOKS) expect(guide).toContain(`\`${hook}(`)
  })

  test('its scene exists', async () => {
    const { scene } = await import('../lab/scene.ts')
    const [, name] = /--scene ([a-z-]+)@/.exec(guide)!
    expect(scene(name!)).toBeDefined()
  })
})
