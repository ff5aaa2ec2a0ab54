/**
 * Rules: style that matters, as functions from a source file to what is wrong in it.
 *
 * Obligations of a rule: it is about one thing; its message says what to do; it needs nothing but the file and the
 * compiler's types; tidy.test.ts shows it at least one planted violation (a check that cannot fail is a defect).
 *
 * Source of the habit: TigerBeetle, src/tidy.zig.
 */
import * as ts from 'typescript/unstable/ast'
import type { Type } from 'typescript/unstable/sync'
import { SignatureKind } from 'typescript/unstable/sync'
import { fpTsPaths, layers, neverTests, noChaining, pureImports, shippedImports } from './imports.ts'
import { INDETERMINATE } from './layers.ts'
import { lineOf, lineOfNode, type Unit, walk } from './project.ts'
import { type Finding, isCode, isDeterministic, isSource, isStrategy, type Rule } from './rule.ts'

// --- determinism -------------------------------------------------------------------------------------------------

/** Is this identifier the name of a member or of a declaration, and so no use of a global? */
const isOwnName = (n: ts.Identifier): boolean => {
  const p = n.parent
  if (ts.isPropertyAccessExpression(p) || ts.isPropertyAssignment(p)) return p.name === n
  return 'name' in p && p.name === n
}

const deterministic: Rule = {
  name: 'below the lab: no clock, no chance, no promise',
  applies: isDeterministic,
  check: (unit) => {
    const found: Finding[] = []
    const add = (n: ts.Node, what: string): void => {
      const message = `${what} differs from run to run: use k.choose, or an Op to wait`
      found.push({ line: lineOfNode(unit, n), message })
    }
    walk(unit.ast, (n) => {
      if (n.kind === ts.SyntaxKind.AsyncKeyword) add(n, 'async')
      if (n.kind === ts.SyntaxKind.AwaitExpression) add(n, 'await')
      if (!ts.isIdentifier(n) || isOwnName(n)) return
      if (INDETERMINATE.includes(n.text)) add(n, n.text)
      const p = n.parent
      if (!ts.isPropertyAccessExpression(p) || p.expression !== n) return
      const dotted = `${n.text}.${p.name.text}`
      if (INDETERMINATE.includes(dotted)) add(n, dotted)
    })
    return found
  },
}

// --- Kernels that do nothing -------------------------------------------------------------------------------------

/** Is this type, or a part of the union, a generator? */
const isKernel = (type: Type | undefined): boolean => {
  if (type === undefined) return false
  if (type.isUnionType()) return type.getTypes().some(isKernel)
  const name = type.getSymbol()?.name
  return name === 'Generator' || name === 'AsyncGenerator'
}

/** The parts of an expression whose value is thrown away when the expression's is. */
const discarded = (e: ts.Node): readonly ts.Node[] => {
  if (ts.isParenthesizedExpression(e) || ts.isVoidExpression(e)) return discarded(e.expression)
  if (ts.isConditionalExpression(e)) return [...discarded(e.whenTrue), ...discarded(e.whenFalse)]
  if (!ts.isBinaryExpression(e)) return [e]
  const op = e.operatorToken.kind
  if (op === ts.SyntaxKind.CommaToken) return [...discarded(e.left), ...discarded(e.right)]
  const logical = [
    ts.SyntaxKind.AmpersandAmpersandToken, ts.SyntaxKind.BarBarToken, ts.SyntaxKind.QuestionQuestionToken,
  ].includes(op)
  return logical ? discarded(e.right) : []
}

/** The expressions that a node uses as a condition. */
const conditions = (n: ts.Node): readonly ts.Node[] => {
  if (ts.isIfStatement(n) || ts.isWhileStatement(n) || ts.isDoStatement(n)) return [n.expression]
  if (ts.isForStatement(n)) return n.condition === undefined ? [] : [n.condition]
  if (ts.isConditionalExpression(n)) return [n.condition]
  if (ts.isPrefixUnaryExpression(n)) return n.operator === ts.SyntaxKind.ExclamationToken ? [n.operand] : []
  if (!ts.isBinaryExpression(n)) return []
  const op = n.operatorToken.kind
  return op === ts.SyntaxKind.AmpersandAmpersandToken || op === ts.SyntaxKind.BarBarToken ? [n.left] : []
}

/** Is `e`, an argument, a function that returns a Kernel where one that returns nothing is asked for? */
const isDroppedCallback = (unit: Unit, e: ts.Node): boolean => {
  const byName = ts.isIdentifier(e) || ts.isPropertyAccessExpression(e)
  if (!byName && !ts.isArrowFunction(e) && !ts.isFunctionExpression(e)) return false
  const returned = (type: Type | undefined): readonly (Type | undefined)[] =>
    type === undefined
      ? []
      : unit.checker.getSignaturesOfType(type, SignatureKind.Call).map((s) => unit.checker.getReturnTypeOfSignature(s))
  if (!returned(unit.checker.getTypeAtLocation(e)).some(isKernel)) return false
  const asked = returned(unit.checker.getContextualType(e))
  return asked.length > 0 && asked.every((t) => t !== undefined && unit.checker.typeToString(t) === 'void')
}

const floatingKernel: Rule = {
  name: 'no Kernel is left without yield*',
  applies: (path) => !path.startsWith('properties/types/'),
  check: (unit) => {
    const found: Finding[] = []
    const kernel = (n: ts.Node): boolean => isKernel(unit.checker.getTypeAtLocation(n))
    const add = (n: ts.Node, message: string): void => {
      found.push({ line: lineOfNode(unit, n), message })
    }
    walk(unit.ast, (n) => {
      for (const e of ts.isExpressionStatement(n) ? discarded(n.expression) : []) {
        if (!ts.isYieldExpression(e) && kernel(e)) add(e, 'this Kernel never runs: write yield* in front of it')
      }
      if (ts.isYieldExpression(n) && n.asteriskToken === undefined && n.expression !== undefined) {
        if (kernel(n.expression)) add(n, 'yield hands the Kernel out instead of running it: write yield*')
      }
      for (const c of conditions(n)) if (kernel(c)) add(c, 'a Kernel is always true: write yield* in front of it')
      if (!ts.isCallExpression(n)) return
      for (const a of n.arguments) {
        if (isDroppedCallback(unit, a)) add(a, 'who calls this function ignores its Kernel: use a for loop with yield*')
      }
    })
    return found
  },
}

// --- files, functions, lines -------------------------------------------------------------------------------------

/** Lines of a file that is not a test. */
export const MAX_FILE = 400
/** Lines of a strategy. */
export const MAX_STRATEGY = 150
/** Lines of a function. */
export const MAX_FUNCTION = 70
/** Columns. Aim for 120; what is wider than this does not fit a review side by side. */
export const MAX_COLUMNS = 140
/** Files that may be longer, up to 450 lines. */
export const LONG_FILES: readonly string[] = []
/** Files whose functions may be longer, and how long. The pipeline's loop is one sentence and stays whole. */
export const LONG_FUNCTIONS: Readonly<Record<string, number>> = { 'src/fs/perform-write.ts': 90 }

const opensWithContract: Rule = {
  name: 'a file opens with its contract',
  applies: isCode,
  check: (unit) =>
    /^(#!.*\n)?\/\*\*/.test(unit.text)
      ? []
      : [{ line: 1, message: 'open the file with a /** doc comment */: what it is, its obligations, its source' }],
}

/** Top-level statements that declare something for others. */
const exportsOf = (unit: Unit): readonly ts.Node[] =>
  unit.ast.statements.filter(
    (s) =>
      'modifiers' in s &&
      (s as ts.VariableStatement).modifiers?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword) === true,
  )

const documented: Rule = {
  name: 'every exported symbol has a doc comment',
  applies: isCode,
  check: (unit) => {
    const found: Finding[] = []
    let covered = -1 // line after the last statement of a documented group
    for (const s of exportsOf(unit)) {
      const line = lineOfNode(unit, s)
      const comments = ts.getLeadingCommentRanges(unit.text, s.pos) ?? []
      const docs = comments.filter((c) => unit.text.startsWith('/**', c.pos))
      const own = docs.filter((c) => lineOf(unit, c.pos) > 2 || docs.length > 1).length > 0
      if (own || line === covered) covered = lineOf(unit, s.end) + 1
      else found.push({ line, message: 'write a /** doc comment */ for it: meaning, units, which errnos and when' })
    }
    return found
  },
}

const fileLength: Rule = {
  name: `files have at most ${MAX_FILE} lines, strategies ${MAX_STRATEGY}`,
  applies: isCode,
  check: (unit) => {
    const usual = LONG_FILES.includes(unit.path) ? 450 : MAX_FILE
    const max = isStrategy(unit.path) && !unit.path.endsWith('/index.ts') ? MAX_STRATEGY : usual
    const lines = unit.lines.length - 1
    const message = `${lines} lines, ${max} are allowed: split the file by subject`
    return lines <= max ? [] : [{ line: max + 1, message }]
  },
}

const functionLength: Rule = {
  name: `functions have at most ${MAX_FUNCTION} lines`,
  applies: isCode,
  check: (unit) => {
    const found: Finding[] = []
    const max = LONG_FUNCTIONS[unit.path] ?? MAX_FUNCTION
    walk(unit.ast, (n) => {
      const isFunction =
        ts.isFunctionDeclaration(n) || ts.isFunctionExpression(n) || ts.isArrowFunction(n) ||
        ts.isMethodDeclaration(n) || ts.isConstructorDeclaration(n) || ts.isGetAccessorDeclaration(n)
      if (!isFunction) return
      const line = lineOfNode(unit, n)
      const lines = lineOf(unit, n.end) - line + 1
      const message = `a function of ${lines} lines, ${max} are allowed: it must fit a screen`
      if (lines > max) found.push({ line, message })
    })
    return found
  },
}

const lineLength: Rule = {
  name: `lines have at most ${MAX_COLUMNS} columns`,
  applies: () => true,
  check: (unit) =>
    unit.lines.flatMap((text, i) =>
      [...text].length > MAX_COLUMNS ? [{ line: i + 1, message: `${[...text].length} columns: break the line` }] : [],
    ),
}

// --- strategies --------------------------------------------------------------------------------------------------

/** What a strategy may do with the members of a class of the world. What is not named is not for strategies. */
interface Access {
  readonly read: readonly string[]
  readonly write: readonly string[]
}

/**
 * State of the world by class. Locks are handed on to verbs; a folio that a strategy holds locked may be read; only the
 * link from a private folio to the one that it replaces is the strategy's to set.
 */
export const WORLD: Readonly<Record<string, Access>> = {
  Inode: { read: ['ino', 'rwsem', 'invalidateLock', 'mapLock'], write: [] },
  Folio: {
    read: [
      'index', 'order', 'pos', 'size', 'pages', 'blocks', 'blockShift', 'home', 'generation', 'old',
      'bits', 'all', 'any', 'uptodate', 'dirty', 'writeback', 'writebackOp', 'pins',
    ],
    write: ['old'],
  },
  AddressSpace: { read: ['ino'], write: [] },
  ExtentMap: { read: [], write: [] },
  Slab: { read: [], write: [] },
  Lock: { read: [], write: [] },
  RwLock: { read: [], write: [] },
}

/** Members that no strategy touches, and why. */
export const HIDDEN_MEMBERS: Readonly<Record<string, string>> = { ledger: 'verbs and services do the counting' }

const isAssigned = (n: ts.Node): boolean => {
  const p = n.parent
  if (ts.isBinaryExpression(p)) {
    const op = p.operatorToken.kind
    return p.left === n && op >= ts.SyntaxKind.FirstAssignment && op <= ts.SyntaxKind.LastAssignment
  }
  return (ts.isPrefixUnaryExpression(p) || ts.isPostfixUnaryExpression(p)) &&
    (p.operator === ts.SyntaxKind.PlusPlusToken || p.operator === ts.SyntaxKind.MinusMinusToken)
}

const worldThroughVerbs: Rule = {
  name: 'a strategy reads and writes the world through verbs only',
  applies: isStrategy,
  check: (unit) => {
    const found: Finding[] = []
    walk(unit.ast, (n) => {
      if (!ts.isPropertyAccessExpression(n)) return
      const member = n.name.text
      const line = lineOfNode(unit, n)
      const hidden = HIDDEN_MEMBERS[member]
      if (hidden !== undefined) found.push({ line, message: `.${member} is not for strategies: ${hidden}` })
      const type = unit.checker.getTypeAtLocation(n.expression)
      const parts = type?.isUnionType() ? type.getTypes() : [type]
      const owner = parts.map((t) => t?.getSymbol()?.name ?? '').find((t) => t in WORLD)
      if (owner === undefined) return
      if (WORLD[owner]![isAssigned(n) ? 'write' : 'read'].includes(member)) return
      const message = `${owner}.${member} is the world's: use a verb (k), a service (w.fs) or the mapping (m)`
      found.push({ line, message })
    })
    return found
  },
}

// --- leftovers ---------------------------------------------------------------------------------------------------

/** What must not be committed: a pattern, and what to do. Written in halves so that this file does not match itself. */
const LEFTOVERS: readonly (readonly [RegExp, string])[] = [
  [new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|')})\\b`), 'do it, or write it into the plan'],
  [new RegExp(`\\b(describe|test|it|suite)\\.(${['on' + 'ly', 'sk' + 'ip', 'to' + 'do'].join('|')})\\b`), 'every test runs'],
  [new RegExp(`(^|[^\\w.])/(${['wo' + 'rk', 'ro' + 'ot', 'ho' + 'me', 'Us' + 'ers', 't' + 'mp'].join('|')})/`),
    'a path of one machine: use os.tmpdir() or import.meta.url'],
]

/** Findings for a text that is not TypeScript, such as a page of docs. */
export const leftoversIn = (lines: readonly string[]): readonly Finding[] =>
  lines.flatMap((text, i) =>
    LEFTOVERS.filter(([pattern]) => pattern.test(text)).map(([pattern, advice]) => ({
      line: i + 1,
      message: `${pattern.exec(text)![0].trim()}: ${advice}`,
    })),
  )

const leftovers: Rule = {
  name: 'no leftovers: notes to oneself, tests switched off, paths of one machine',
  applies: () => true,
  check: (unit) => leftoversIn(unit.lines),
}

/** Files outside cli that may write to stderr, and why. */
export const PRINTS: Readonly<Record<string, string>> = {
  'src/host/scratch.ts': 'clean-up after a signal has no caller who could be told',
}

const printing: Rule = {
  name: 'only cli prints',
  applies: (path) => isSource(path) && !path.startsWith('src/cli/') && !(path in PRINTS),
  check: (unit) => {
    const found: Finding[] = []
    walk(unit.ast, (n) => {
      if (!ts.isPropertyAccessExpression(n)) return
      const text = n.getText(unit.ast)
      if (!/^console\.\w+$|^process\.std(out|err)\.write$/.test(text)) return
      found.push({ line: lineOfNode(unit, n), message: `${text}: return a value and let cli print it` })
    })
    return found
  },
}

/** All rules. */
export const rulesFor = (dependencies: readonly string[]): readonly Rule[] => [
  layers, neverTests, pureImports, shippedImports(dependencies), fpTsPaths, noChaining, deterministic,
  floatingKernel,
  opensWithContract, documented, fileLength, functionLength, lineLength, worldThroughVerbs, leftovers, printing,
]
