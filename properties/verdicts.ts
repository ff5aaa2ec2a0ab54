/**
 * Verdicts, expected and found: the table of docs/verdicts.md, from what was written down before any run
 * (claims/expected.ts) and from what checks have found since (claims/deviations.ts). Run by itself, this file renews
 * the generated parts of the document.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { DEVIATIONS } from './claims/deviations.ts'
import { DESIGNS, expected, EXPECTED_CLAIMS, type Status } from './claims/expected.ts'

const SIGNS: Readonly<Record<Status, string>> = { pass: '✓', fail: '**✗**', declared: 'd', 'n.a.': '-' }

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')

const expectedTable = (): string =>
  table(['claim', ...DESIGNS], EXPECTED_CLAIMS.map((id) => [id, ...DESIGNS.map((s) => SIGNS[expected(s, id).status])]))

/** Why, for every cell; designs that share a reason share a line. */
const reasons = (): string => EXPECTED_CLAIMS.flatMap((id) => {
  const by = new Map<string, string[]>()
  for (const s of DESIGNS) {
    const { status, why } = expected(s, id)
    const line = `${status}: ${why}`
    by.set(line, [...(by.get(line) ?? []), s])
  }
  const largest = [...by].reduce((a, b) => (b[1].length > a[1].length ? b : a))[0]
  return [...by].map(([line, names]) => `- **${id}** ${line === largest ? '' : `(${names.join(', ')}) `}${line}`)
}).join('\n')

const deviations = (): string => table(
  ['design', 'claim', 'expected', 'found', 'why'],
  DEVIATIONS.map((d) => [d.design, d.claim, expected(d.design, d.claim).status, d.found, d.why]),
)

/** The generated parts, by name. */
export const verdictParts = (): Readonly<Record<string, string>> =>
  ({ expected: expectedTable(), reasons: reasons(), deviations: deviations() })

/** The document with its generated parts renewed. @throws Error if a part has no place in it */
export const renewedVerdicts = (document: string): string => Object.entries(verdictParts()).reduce((text, [name, part]) => {
  const place = new RegExp(`(<!-- generated: ${name} -->\n)[\\s\\S]*?(\n<!-- end -->)`)
  if (!place.test(text)) throw new Error(`the document has no place for ${name}`)
  return text.replace(place, (_, begin: string, end: string) => `${begin}${part}${end}`)
}, document)

/** Where the document is. */
export const VERDICTS = new URL('../docs/verdicts.md', import.meta.url)

if (import.meta.main) writeFileSync(VERDICTS, renewedVerdicts(readFileSync(VERDICTS, 'utf8')))
