/**
 * Imports: rules about who may use what: layers, packages, and what of fp-ts. What a rule owes: rules.ts.
 */
import * as ts from 'typescript/unstable/ast'
import { CHAINING, HOT, LAYERS, layerOf, NODE_MODULES_ALLOWED, PURE_PACKAGES } from './layers.ts'
import { lineOfNode, type Unit, walk } from './project.ts'
import { type Finding, isDeterministic, isShipped, isSource, isTest, type Rule } from './rule.ts'

interface Import {
  readonly node: ts.Node
  readonly from: string
}

/** All module names that a file imports, re-exports or imports at run time. */
const importsOf = (unit: Unit): readonly Import[] => {
  const found: Import[] = []
  walk(unit.ast, (n) => {
    const named = (ts.isImportDeclaration(n) || ts.isExportDeclaration(n)) && n.moduleSpecifier !== undefined
    const specifier = named
      ? n.moduleSpecifier
      : ts.isCallExpression(n) && n.expression.kind === ts.SyntaxKind.ImportKeyword
        ? n.arguments[0]
        : ts.isImportTypeNode(n) && ts.isLiteralTypeNode(n.argument)
          ? n.argument.literal
          : undefined
    if (specifier !== undefined && ts.isStringLiteral(specifier)) found.push({ node: n, from: specifier.text })
  })
  return found
}

/** A relative import as a path from the repository. */
const target = (unit: Unit, from: string): string => new URL(from, `file:///${unit.path}`).pathname.slice(1)

/** Who may import whom (layers.ts). */
export const layers: Rule = {
  name: 'imports go down only',
  applies: (path) => (isSource(path) || path.startsWith('properties/') || path.startsWith('bench/')) && !isTest(path),
  check: (unit) => {
    const from = layerOf(unit.path)
    const may = LAYERS[from]
    if (may === undefined) return [{ line: 1, message: `give ${from} its place in src/tidy/layers.ts` }]
    return importsOf(unit)
      .filter((i) => i.from.startsWith('.'))
      .map((i) => ({ i, to: layerOf(target(unit, i.from)) }))
      .filter(({ to }) => to !== 'package.json' && to !== from && !may.includes(to))
      .map(({ i, to }) => ({
        line: lineOfNode(unit, i.node),
        message: `${from} must not import ${to}: move the code down, or let the caller pass it in`,
      }))
  },
}

/** Tests are leaves, and so is cli. */
export const neverTests: Rule = {
  name: 'nobody imports a test, and tests do not import cli',
  applies: () => true,
  check: (unit) =>
    importsOf(unit)
      .filter((i) => i.from.startsWith('.'))
      .flatMap((i) => {
        const to = target(unit, i.from)
        const line = lineOfNode(unit, i.node)
        if (to.endsWith('.test.ts')) return [{ line, message: 'move what is shared out of the test' }]
        if (to.startsWith('src/tidy/') && !isTest(unit.path)) return [{ line, message: 'src/tidy belongs to tests' }]
        return to.startsWith('src/cli/') && !unit.path.startsWith('src/cli/')
          ? [{ line, message: 'nothing imports cli: move the code to lab or report' }]
          : []
      }),
}

/** The lower layers have no effects. */
export const pureImports: Rule = {
  name: 'below the lab: no Node module, only pure packages',
  applies: isDeterministic,
  check: (unit) =>
    importsOf(unit)
      .filter((i) => !i.from.startsWith('.') && !(NODE_MODULES_ALLOWED[unit.path] ?? []).includes(i.from))
      .filter((i) => !PURE_PACKAGES.includes(packageOf(i.from)))
      .map((i) => ({
        line: lineOfNode(unit, i.node),
        message: `${i.from} must not be imported below the lab: take the effect as a parameter`,
      })),
}

/** `@zenfs/core/x` to `@zenfs/core`. */
const packageOf = (from: string): string => from.split('/').slice(0, from.startsWith('@') ? 2 : 1).join('/')

/** Shipped code may import only what users install with it. `dependencies` as in package.json. */
export const shippedImports = (dependencies: readonly string[]): Rule => ({
  name: 'shipped code imports packages of `dependencies` only',
  applies: isShipped,
  check: (unit) =>
    importsOf(unit)
      .filter((i) => !i.from.startsWith('.') && !i.from.startsWith('node:'))
      .filter((i) => !dependencies.includes(packageOf(i.from)))
      .map((i) => ({
        line: lineOfNode(unit, i.node),
        message: `${packageOf(i.from)} is not in "dependencies" of package.json: users would not have it`,
      })),
})

/** What Node can load natively. */
export const fpTsPaths: Rule = {
  name: 'fp-ts is imported as fp-ts/lib/X.js',
  applies: () => true,
  check: (unit) =>
    importsOf(unit)
      .filter((i) => packageOf(i.from) === 'fp-ts' && !/^fp-ts\/lib\/\w+\.js$/.test(i.from))
      .map((i) => ({ line: lineOfNode(unit, i.node), message: `write 'fp-ts/lib/X.js' instead of '${i.from}'` })),
}

/** Hot paths carry values, they do not chain. */
export const noChaining: Rule = {
  name: 'on the path of a page fp-ts does not chain',
  applies: (path) => HOT.some((h) => path.startsWith(h)) && !isTest(path),
  check: (unit) => {
    const found: Finding[] = []
    const message = (what: string): string => `${what} costs 300 ns and more a step: use yield*, match or a plain if`
    const namespaces = new Set<string>()
    walk(unit.ast, (n) => {
      const module = ts.isImportDeclaration(n) && ts.isStringLiteral(n.moduleSpecifier) ? n.moduleSpecifier.text : ''
      if (ts.isImportDeclaration(n) && module.startsWith('fp-ts')) {
        if (/Task|IO|Reader|State/.test(module)) found.push({ line: lineOfNode(unit, n), message: message(module) })
        const bindings = n.importClause?.namedBindings
        if (bindings !== undefined && ts.isNamespaceImport(bindings)) namespaces.add(bindings.name.text)
        if (bindings === undefined || !ts.isNamedImports(bindings)) return
        for (const e of bindings.elements) {
          const name = (e.propertyName ?? e.name).text
          if (CHAINING.includes(name)) found.push({ line: lineOfNode(unit, e), message: message(name) })
        }
      }
      if (!ts.isPropertyAccessExpression(n) || !ts.isIdentifier(n.expression)) return
      if (namespaces.has(n.expression.text) && CHAINING.includes(n.name.text)) {
        found.push({ line: lineOfNode(unit, n), message: message(n.getText(unit.ast)) })
      }
    })
    return found
  },
}
