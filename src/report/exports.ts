/**
 * Exports of a comparison as text: CSV, Markdown, LaTeX. Pure: a document in, the whole file out.
 *
 * CSV (RFC 4180) has one row a number and the manifest in each row, so that rows of many runs can be put together; counts stand
 * in `count`, times in columns of their own. Markdown and LaTeX have the sheets, each with its manifest below.
 */
import { type Column, type Comparison, counted, type Ground, isMarked, type Race, sameGround } from './document.ts'
import { type Sheet, sheetsOf } from './sheets.ts'

// --- CSV ---------------------------------------------------------------------------------------------------------------

const SUBJECT = ['kind', 'fs', 'block_size', 'folio_order', 'workload', 'source', 'design', 'broke_a_claim', 'name'] as const
const VALUE = [
  'status', 'count', 'ms_median', 'ms_low', 'ms_high', 'baseline', 'ratio_median', 'ratio_low', 'ratio_high', 'cliffs_delta', 'rounds',
] as const
const MANIFEST = ['version', 'code_sha256', 'seed', 'workload_sha256', 'node', 'system', 'cpu', 'cpus', 'date'] as const

type Field = (typeof SUBJECT)[number] | (typeof VALUE)[number] | (typeof MANIFEST)[number]
type Record_ = Readonly<Partial<Record<Field, string | number | boolean>>>

const quote = (value: string): string => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value)

const groundFields = (g: Ground): Record_ => ({ fs: g.fs, block_size: g.blockSize, folio_order: g.folioOrder })

const ofColumn = (c: Column): Record_[] => {
  const head = { ...groundFields(c), design: c.name, broke_a_claim: isMarked(c) }
  return [
    ...c.verdicts.map((v) => ({ ...head, kind: 'verdict', name: v.claim, status: v.status })),
    ...c.runs.flatMap((r) => [
      ...(['operations', 'bytesWritten', 'bytesRead'] as const).map((name) => ({ name, count: r[name] })),
      ...counted(r.ledger).map((name) => ({ name, count: r.ledger[name] })),
    ].map((row) => ({ ...head, kind: 'count', workload: r.workload, source: r.source, ...row }))),
    ...(['plays', 'faulted', 'failedWrites'] as const).map((name) => ({ ...head, kind: 'undo', name, count: c[name] })),
    ...counted(c.undo).map((name) => ({ ...head, kind: 'undo', name, count: c.undo[name] })),
  ]
}

const ofRace = (race: Race, designs: readonly Column[]): Record_[] =>
  race.racers.map(({ name, time, ratio, delta }) => ({
    kind: 'wall', ...groundFields(race), workload: race.workload, source: race.source, design: name, name: 'ms', rounds: race.rounds,
    broke_a_claim: designs.some((d) => d.name === name && sameGround(d, race) && isMarked(d)),
    ms_median: time.median, ms_low: time.low, ms_high: time.high, baseline: race.baseline,
    ratio_median: ratio.median, ratio_low: ratio.low, ratio_high: ratio.high, cliffs_delta: delta,
  }))

/** One row a number. */
export const csvOf = (c: Comparison): string => {
  const { manifest: m } = c
  const shared: Record_ = {
    version: m.version, code_sha256: m.code, seed: c.seed, node: m.machine.node, system: m.machine.system, cpu: m.machine.cpu,
    cpus: m.machine.cpus, date: m.date,
  }
  const rows = [...c.designs.flatMap(ofColumn), ...c.wall.flatMap((r) => ofRace(r, c.designs))]
  const fields: readonly Field[] = [...SUBJECT, ...VALUE, ...MANIFEST]
  const line = (row: Record_): string => {
    const sha = m.workloads[String(row.workload)]?.sha256
    const all: Record_ = { ...row, ...shared, ...(sha !== undefined && { workload_sha256: sha }) }
    return fields.map((f) => quote(String(all[f] ?? ''))).join(',')
  }
  return [fields.join(','), ...rows.map(line)].map((l) => `${l}\r\n`).join('')
}

// --- Markdown ----------------------------------------------------------------------------------------------------------

const plain = (text: string): string => text.replace(/[\\`*_{}[\]<>#|&]/g, '\\$&').replace(/\s+/g, ' ')

const markdownTable = ({ title, note, manifest, head, rows }: Sheet): string => {
  const row = (cells: readonly string[]): string => {
    const filled = cells.length === 1 ? [`**${plain(cells[0]!)}**`, ...head.slice(1).map(() => '')] : cells.map(plain)
    return `| ${filled.join(' | ')} |`
  }
  const rule = `|${head.map((_, i) => (i === 0 ? '---' : '---:')).join('|')}|`
  return [`## ${plain(title)}`, '', `${plain(note)}.`, '', row(head), rule, ...rows.map(row), '', `_${plain(manifest)}_`, ''].join('\n')
}

/** The sheets in GitHub's Markdown. */
export const markdownOf = (c: Comparison): string =>
  [`# ${plain(c.manifest.command)}`, '', ...sheetsOf(c).map(markdownTable)].join('\n')

// --- LaTeX -------------------------------------------------------------------------------------------------------------

const SPECIAL: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}', '{': '\\{', '}': '\\}', $: '\\$', '&': '\\&', '#': '\\#', '%': '\\%', _: '\\_', '^': '\\textasciicircum{}',
  '~': '\\textasciitilde{}', '<': '\\textless{}', '>': '\\textgreater{}', '✓': '$\\checkmark$', '✗': '$\\times$', '·': '$\\cdot$',
  '|': '\\textbar{}', '"': '\\textquotedbl{}', '[': '{[}', ']': '{]}', '*': '{*}',
}

const latex = (text: string): string => text.replace(/[\\{}$&#%_^~<>✓✗·|"[\]*]/g, (c) => SPECIAL[c]!)

const latexTable = ({ title, note, manifest, head, rows }: Sheet, i: number): string => {
  const row = (cells: readonly string[]): string =>
    cells.length === 1
      ? `\\multicolumn{${head.length}}{l}{\\textbf{${latex(cells[0]!)}}} \\\\`
      : `${cells.map(latex).join(' & ')} \\\\`
  // A heading of a narrow column is turned, so that a table of many designs fits a page.
  const heads = head.map((h, k) => (k === 0 || h.length < 12 ? latex(h) : `\\rotatebox{60}{${latex(h)}}`))
  return [
    '\\begin{table}', '\\centering\\small', `\\caption{${latex(title)}}\\label{tab:perform-write-${i + 1}}`,
    `\\begin{tabular}{l${'r'.repeat(head.length - 1)}}`, '\\toprule', `${heads.join(' & ')} \\\\`, '\\midrule', ...rows.map(row),
    '\\bottomrule', '\\end{tabular}', `\\par\\footnotesize ${latex(note)}.\\\\ ${latex(manifest)}.`, '\\end{table}', '',
  ].join('\n')
}

/** The sheets as LaTeX tables, to be \input. */
export const latexOf = (c: Comparison): string =>
  ['% \\usepackage{booktabs,amssymb,graphicx} \\usepackage[T1]{fontenc}', `% ${c.manifest.command.replace(/\s+/g, ' ')}`, '',
    ...sheetsOf(c).map(latexTable)].join('\n')
