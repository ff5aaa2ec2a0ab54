/** The page, as text and in a real browser: what it shows, what it must not load, how it looks on a phone and in the dark. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Browser, browserAvailable, openBrowser, type Visit } from '../host/browser.ts'
import { Ledger } from '../kernel/ledger.ts'
import { CLAIMS } from '../lab/claims.ts'
import type { Verdict } from '../lab/fault-pass.ts'
import { estimate } from '../lab/statistics.ts'
import type { Column, Comparison, Racer } from './document.ts'
import { csvOf, latexOf, markdownOf } from './exports.ts'
import type { GrowthDocument } from './growth.ts'
import { pageOf } from './page.ts'

/** A design as nasty as a plugin may be. */
const NASTY = `<img src=x onerror=alert(1)>&"'|_$\\`

const ground = { fs: 'ext4', blockSize: 4096, folioOrder: 9 } as const
const ledger = (n: number): Ledger => Object.assign(new Ledger(), { copies: n, locks: 7 * n, mapLookups: 3 * n, dataBytes: 4096 * n })

const column = (name: string, i: number): Column => {
  const status = (id: string): Verdict['status'] => (id === 'I12' && i === 1 ? 'declared' : id === 'I2' ? 'n.a.' : 'pass')
  const broken = { what: `${NASTY} is wrong`, scene: 'grow', site: 'EIO.read', replay: 'grow@3', timeline: [`write ${NASTY}`] }
  return {
    ...ground, name, replay: name, broken: null, plays: 10, faulted: 9, failedWrites: 5, undo: ledger(i), judges: [],
    verdicts: CLAIMS.map((c) => ({ claim: c.id, status: status(c.id), reason: 'because' })),
    counterexamples: i === 1 ? { I12: broken } : {},
    runs: [{
      workload: 'append', source: 'user', operations: 5, bytesWritten: 2 ** 20, bytesRead: 0, counts: {}, failures: {},
      ledger: ledger(100 + i), problem: null,
    }],
  }
}

const names = [NASTY, ...Array.from({ length: 13 }, (_, i) => `a-design-with-a-long-name-${i}`)]
const racer = (name: string, i: number): Racer => {
  const ms = [5 + i, 6 + i, 7 + i]
  return { name, ms, time: estimate(ms), ratio: estimate(ms.map((t) => t / 6)), delta: 0.3 }
}

const comparison: Comparison = {
  schema: 1, tool: 'perform-write', command: 'compare', ...ground, seed: 42, grounds: [ground], workloads: ['append'], sources: ['user'],
  baseline: NASTY, designs: names.map(column), mutants: [], total: new Ledger(), claims: CLAIMS,
  wall: [{ ...ground, workload: 'append', source: 'user', baseline: NASTY, rounds: 3, racers: names.map(racer) }],
  manifest: {
    version: '0.1.0', code: 'c0de'.repeat(16), command: `perform-write compare '${NASTY}'`, seed: 42, date: '2026-11-21T00:00:00.000Z',
    workloads: { append: { source: 'generator append', operations: 5, sha256: 'beef'.repeat(16) } }, plugins: { [NASTY]: 'ab'.repeat(32) },
    machine: { node: 'v26.10.0', system: 'Linux 6 x64', cpu: 'A CPU', cpus: 2, memory: 2 ** 32 },
  },
}

const growth: GrowthDocument = {
  schema: 1, tool: 'perform-write', command: 'growth', axes: [{ id: 'extents', x: 'extents', what: 'An overwrite of one page.' }],
  manifest: { version: '0.1.0', code: 'c0de'.repeat(16), node: 'v26.10.0', ground: 'ext4' },
  series: names.map((design, i) => ({
    design, axis: 'extents', cost: 'locks', points: [[1, 5], [10, 5 + i], [100, 5 + 2 * i]], exponent: 0.1, formula: 'O(1)', worse: false,
  })),
}

let page: string
beforeAll(async () => void (page = await pageOf(comparison, growth)))

describe('as text', () => {
  test('holds every part, and every table and figure with numbers its manifest', () => {
    for (const id of ['claims', 'broken', 'cost', 'undo', 'wall', 'growth', 'manifest']) expect(page).toContain(`id="${id}"`)
    for (const figure of page.split('<figure').slice(1)) {
      expect(figure.split('</figure>')[0]).toMatch(/class="manifest">.*code c0dec0dec0de/)
    }
    expect(page.match(/<svg/g)!.length).toBeGreaterThanOrEqual(5)
  })

  test('escapes what designs are called, in tags, attributes and drawings', () => {
    expect(page).not.toContain('<img')
    expect(page).toContain('&lt;img src=x onerror=alert(1)&gt;&amp;')
  })

  test('has no script, and names nothing outside itself', () => {
    expect(page).not.toMatch(/<script|<link|@import|url\(/i)
    const urls = [...page.matchAll(/(?:src|href|xlink:href)="([^"]*)"/g)].map(([, u]) => u!)
    expect(urls.filter((u) => !u.startsWith('#'))).toEqual([])
  })

  test('the other exports survive the same names', () => {
    const [head, ...rows] = csvOf(comparison).trimEnd().split('\r\n')
    expect(head).toContain('workload_sha256')
    expect(rows[0]).toContain(`"${NASTY.replaceAll('"', '""')}"`)
    for (const line of markdownOf(comparison).split('\n').filter((l) => l.startsWith('| '))) {
      expect(line.match(/(?<!\\)\|/g)!.length).toBe(/^\| design/.test(line) || /Cliff|\[\d/.test(line) ? 5 : names.length + 2)
    }
    expect(latexOf(comparison).split('\n').slice(2).join('\n')).not.toMatch(/(?<!\\)[%#]|(?<!\\)_/)
  })
})

// --- in a browser --------------------------------------------------------------------------------------------------------

/** WCAG 2: relative luminance and contrast, of all text that can be seen; in the page. */
const CONTRASTS = `(() => {
  const rgb = (s) => (s.match(/[\\d.]+/g) ?? ['0', '0', '0', '0']).map(Number)
  const lum = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor)
      if ((c[3] ?? 1) > 0) return c
    }
    return [255, 255, 255]
  }
  const low = []
  let seen = 0
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== '')) continue
    const style = getComputedStyle(e)
    const [a, b] = [lum(rgb(e instanceof SVGElement ? style.fill : style.color)), lum(ground(e))]
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    seen++
    if (ratio < 4.5) low.push(e.tagName + ' ' + e.textContent.slice(0, 20) + ' ' + ratio.toFixed(2))
  }
  const marks = [...document.querySelectorAll('svg [fill^="var"], svg [stroke^="var(--c"]')].map((e) => {
    const s = getComputedStyle(e)
    const [a, b] = [lum(rgb(s.fill === 'none' ? s.stroke : s.fill)), lum(ground(e))]
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
  })
  return { seen, low, marks: Math.min(...marks), paper: getComputedStyle(document.body).backgroundColor }
})()`

interface Contrasts {
  readonly seen: number
  readonly low: readonly string[]
  readonly marks: number
  readonly paper: string
}

const here = browserAvailable()
if (!here.ok) process.stderr.write(`the page is not opened in a browser: ${here.why}\n`)

describe.skipIf(!here.ok)('in chromium, from file://', () => {
  let folder: string
  let browser: Browser
  let url: string

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'perform-write-page-'))
    writeFileSync(join(folder, 'page.html'), page)
    const loud = '<script>alert(1)</script><img src="http://example.org/x.png"></body>'
    writeFileSync(join(folder, 'loud.html'), page.replace('</body>', loud))
    url = pathToFileURL(join(folder, 'page.html')).href
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true })
  })

  const quiet = ({ console, requests }: Visit): void => {
    expect(console).toEqual([])
    expect(requests).toEqual([url])
  }

  test.each([360, 1280])('%i pixels wide: nothing said, nothing fetched, nothing sticks out', async (width) => {
    quiet(await browser.visit(url, { width, scheme: 'light' }))
    expect(await browser.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
    expect(await browser.evaluate('innerWidth')).toBe(width)
    // What is wider than the page scrolls within its own frame, the first column stays.
    expect(await browser.evaluate(`getComputedStyle(document.querySelector('.wide th')).position`)).toBe('sticky')
    expect(await browser.evaluate(`Math.min(...[...document.querySelectorAll('svg text')].map((t) => {
      const svg = t.ownerSVGElement
      return parseFloat(getComputedStyle(t).fontSize) * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width
    }))`)).toBeGreaterThan(8)
  })

  test('tables and drawings are there, and a name is a name', async () => {
    await browser.visit(url, { width: 800, scheme: 'light' })
    expect(await browser.evaluate(`document.querySelectorAll('table').length`)).toBe(4)
    expect(await browser.evaluate(`document.querySelectorAll('table.claims tbody td.pass').length`)).toBeGreaterThan(100)
    expect(await browser.evaluate(`document.querySelector('table.cost thead').rows[0].cells[1].textContent`)).toBe(NASTY)
    expect(await browser.evaluate(`[...document.querySelectorAll('svg')].every((s) => s.getBoundingClientRect().width > 100)`)).toBe(true)
    const links = `[...document.querySelectorAll('nav a')].every((a) => document.getElementById(a.hash.slice(1)) !== null)`
    expect(await browser.evaluate(links)).toBe(true)
  })

  test.each(['light', 'dark'] as const)('%s: all text has a contrast of 4.5, all marks of 3', async (scheme) => {
    quiet(await browser.visit(url, { width: 800, scheme }))
    const { seen, low, marks, paper } = await browser.evaluate<Contrasts>(CONTRASTS)
    expect(seen).toBeGreaterThan(500)
    expect(low).toEqual([])
    expect(marks).toBeGreaterThanOrEqual(3)
    expect(paper).toBe(scheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(20, 23, 26)')
  })

  test('the browser of this test hears what a worse page would do', async () => {
    const { console } = await browser.visit(pathToFileURL(join(folder, 'loud.html')).href, { width: 800, scheme: 'light' })
    expect(console.join('\n')).toMatch(/script-src|default-src/)
    expect(console.join('\n')).toMatch(/example\.org/)
  })
})
