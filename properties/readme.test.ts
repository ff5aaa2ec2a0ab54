/**
 * The README shows what the commands print: each block after a comment `output: COMMAND` is compared with a run of it, line by
 * line and in order. A line `...` stands for any lines in between. To renew a block, run the command and paste.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const blocks = [...readme.matchAll(/<!-- output: (.+?) -->\n```text\n([\s\S]*?)```/g)].map(([, command, text]) => ({
  command: command!,
  lines: text!.split('\n').filter((line) => line.trim() !== '' && line.trim() !== '...'),
}))

test('the README shows output', () => {
  expect(blocks.length).toBeGreaterThan(0)
  for (const { lines } of blocks) expect(lines.length).toBeGreaterThan(3)
})

test.each(blocks)('$command', ({ command, lines }) => {
  const more = command.startsWith('compare') ? ['--no-judges'] : []
  const args = ['src/cli/main.ts', ...command.split(' '), ...more]
  const run = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
  const printed = run.stdout.split('\n').map((line) => line.trimEnd())
  let at = 0
  for (const line of lines) {
    const found = printed.indexOf(line.trimEnd(), at)
    expect(found, `not printed any more, or not in this order: ${line}`).toBeGreaterThanOrEqual(0)
    at = found + 1
  }
})
