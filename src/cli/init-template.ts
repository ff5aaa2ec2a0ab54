/** The files of a new plugin folder: a package of its own, with a design that compiles and fails on purpose. */

/** The vitest that the suite is tested with. */
export const VITEST = '^5.1.1'

const PACKAGE = (name: string, version: string): string => `${JSON.stringify({
  name, version: '0.1.0', private: true, type: 'module',
  scripts: {
    test: 'vitest run', check: 'perform-write check ./strategy.ts', compare: 'perform-write compare reserve-allocate ./strategy.ts',
  },
  dependencies: { 'perform-write': `^${version}` },
  devDependencies: { vitest: VITEST },
}, null, 2)}\n`

const STRATEGY = (name: string): string => `/**
 * ${name}: say here what the design does, and where the idea comes from.
 *
 * Hooks and rules: node_modules/perform-write/docs/writing-a-strategy.md.
 */
import { raise, type SpaceError, type Strategy } from 'perform-write'

export default {
  name: '${name}',
  summary: 'what it does, in one line',
  source: 'the mail, commit or paper that it comes from',
  unit: 'folio',
  copy: 'atomic',
  // What you promise is held against you; what you cannot keep, do not claim.
  claims: {
    isolation: 'none', faultIn: 'any', readLock: 'none', enospcUnit: 'block', mmapHole: 'fault', stablePages: false,
    checksumAt: 'submit', rollback: true,
  },
  // Before the copy: make sure that it can succeed. Under w.inode.mapLock, look up what lies below [m.pos, m.pos + m.len), reserve
  // or allocate what is missing, shorten m.len if you must, and set m.cookie to the state of the map that you saw.
  // This one finds no space, ever: claim I26, no needless error, fails on purpose.
  *begin() {
    return yield* raise('ENOSPC')
  },
} satisfies Strategy<SpaceError | 'ENOMEM'>
`

const TEST = `import { describe, test } from 'vitest'
import { writePathSuite } from 'perform-write/suite'
import strategy from './strategy.ts'

writePathSuite({ describe, test }, strategy, { budget: 'smoke' })
`

const README = (name: string): string => `# ${name}

A buffered-write design for [perform-write](https://www.npmjs.com/package/perform-write).

\`\`\`console
$ npm install
$ npm test                 # every claim is a test; one fails until you have written begin
$ npx vitest run -t I26    # one claim
$ npm run check            # the same for a minute, with a certificate
$ npm run compare          # what it costs, beside reserve-allocate
\`\`\`

The design is \`strategy.ts\`. Its hooks, and the rules for them: \`node_modules/perform-write/docs/writing-a-strategy.md\`. What a
test that passes means, and what it does not: \`docs/what-a-tick-means.md\` in the same place.
`

/** Files by name. */
export const templateFiles = (name: string, version: string): Readonly<Record<string, string>> =>
  ({ 'package.json': PACKAGE(name, version), 'strategy.ts': STRATEGY(name), 'strategy.test.ts': TEST, 'README.md': README(name) })
