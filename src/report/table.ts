/**
 * Tables for a terminal: at most 100 columns, one light rule below the heading, numbers to the right.
 *
 * Interface: `table(head, rows)` gives the text with its last line ended. A row of one text is a heading within the table.
 * Colour only where the output is a terminal that wants it (NO_COLOR, FORCE_COLOR); without it the text is the same.
 */
import { styleText } from 'node:util'
import Table from 'cli-table3'

/** The widest line that a table may have. */
export const WIDTH = 100

/** Between two columns. */
const GAP = '  '

const NONE = {
  top: '', 'top-mid': '', 'top-left': '', 'top-right': '',
  bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '',
  left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: GAP,
} as const

/** One row: its label and its cells; or a text alone. */
export type Row = readonly string[] | string

/**
 * A table. The first column is to the left, all others to the right. Where that would be wider than WIDTH, several tables one
 * below the other, each with the first column.
 */
export const table = (head: readonly string[], rows: readonly Row[]): string => {
  const wide = head.map((h, i) =>
    Math.max(...[h, ...rows.map((r) => (typeof r === 'string' ? '' : r[i]!))].flatMap((c) => c.split('\n').map(visible))))
  const parts = [[0]]
  let left = WIDTH - wide[0]!
  for (let i = 1; i < head.length; i++) {
    const n = wide[i]! + GAP.length
    if (n > left && parts.at(-1)!.length > 1) {
      parts.push([0])
      left = WIDTH - wide[0]!
    }
    parts.at(-1)!.push(i)
    left -= n
  }
  const cut = (r: Row, part: readonly number[]): Row => (typeof r === 'string' ? r : part.map((i) => r[i]!))
  return parts.map((part) => oneTable(part.map((i) => head[i]!), rows.map((r) => cut(r, part)))).join('\n')
}

const oneTable = (head: readonly string[], rows: readonly Row[]): string => {
  const heads = Math.max(...head.map((h) => h.split('\n').length))
  const low = head.map((h) => '\n'.repeat(heads - h.split('\n').length) + h)
  const t = new Table({
    head: low, chars: NONE, style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: head.map((_, i) => (i === 0 ? 'left' : 'right')),
  })
  for (const row of rows) t.push(typeof row === 'string' ? [{ content: row, colSpan: head.length }] : [...row])
  const lines = t.toString().split('\n').map((line) => line.trimEnd())
  const width = Math.max(...lines.map(visible))
  return [...lines.slice(0, heads), '─'.repeat(width), ...lines.slice(heads)].map((l) => `${l}\n`).join('')
}

const visible = (line: string): number => line.replace(/\x1b\[[0-9;]*m/g, '').length

/** A name broken at its hyphens, so that no line is longer than `width`: the heading of a narrow column. */
export const broken = (name: string, width = 11): string => {
  const lines: string[] = ['']
  for (const part of name.split(/(?<=-)/)) {
    const last = lines.at(-1)!
    if (last !== '' && last.length + part.length > width) lines.push(part)
    else lines[lines.length - 1] = last + part
  }
  return lines.join('\n')
}

/** Text cut into lines of at most `width`, the later ones indented. */
export const wrap = (text: string, indent = 0, width = WIDTH): string => {
  const lines: string[] = [/^ */.exec(text)![0]]
  for (const word of text.trimStart().split(' ')) {
    const last = lines.at(-1)!
    const empty = last.trim() === ''
    if (!empty && last.length + 1 + word.length > width) lines.push(' '.repeat(indent) + word)
    else lines[lines.length - 1] = empty ? last + word : `${last} ${word}`
  }
  return lines.join('\n')
}

/** Paint for stdout; plain where it is no terminal. */
export const paint = (colour: 'green' | 'red' | 'yellow' | 'dim' | 'bold', text: string): string =>
  styleText(colour, text, { stream: process.stdout })
