/**
 * e2fsck as a judge: `e2fsck -fn`, exit 0 accepted (e2fsck(8)).
 *
 * It reads every structure and no file data. Also silent: a superblock whose free counts alone are off, i_size changed
 * within the last block, blocks of a former owner that show through.
 */
import { availability } from '../host/availability.ts'
import { run } from '../host/process.ts'
import { judgement } from './judge.ts'
import type { Judge } from './judge.ts'

// Progress, the summary and the questions answered `no` say nothing about what is wrong.
const NOISE = /^(e2fsck \d|Pass \d|$|.*: [\d/]+ files \()/

/** The judge `e2fsck`. */
export const e2fsck: Judge = {
  name: 'e2fsck',
  available: async () => availability({ programs: { e2fsck: 'e2fsprogs' } }),
  judge: async ({ path }) => {
    const { code, stdout, stderr } = await run('e2fsck', ['-f', '-n', path])
    if (code === 0) return judgement([])
    const lines = `${stdout}\n${stderr}`.split('\n').map(line => line.trim()).filter(line => !NOISE.test(line))
    return judgement(lines.length > 0 ? lines : [`e2fsck: exit ${code}`])
  },
}
