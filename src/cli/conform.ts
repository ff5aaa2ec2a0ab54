/**
 * perform-write conform: the same operations through one of our designs and through the mounted kernel.
 *
 * Exit 0: every difference lies in the declared envelope (docs/fidelity.md). 1: one does not; the sequence is printed in the
 * form that --ops takes. 2: a wrong option or a bad line. 3: this machine has no such kernel file system, no root, no loop.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import type { AnyStrategy } from '../fs/strategy.ts'
import type { KernelOperation } from '../host/sequence.ts'
import { operationProblem, WorkloadError } from '../lab/workload/schema.ts'
import { conformSequence } from '../oracle/conform-sequence.ts'
import { Conformance, type Difference } from '../oracle/conform.ts'
import { KERNELS, KernelArm, type KernelName } from '../oracle/kernel-arm.ts'
import { strategies } from '../strategies/index.ts'

/** The design that the driver of a kernel file system is closest to. */
const NEAREST: Readonly<Record<KernelName, string>> = {
  ext2: 'get-block', 'ext4,nodelalloc': 'get-block', ext4: 'reserve-allocate', xfs: 'reserve-allocate', btrfs: 'reserve-allocate',
}

interface Options {
  readonly kernel: KernelName
  readonly strategy?: string
  readonly seed: number
  readonly count: number
  readonly length: number
  readonly blockSize: number
  readonly ops?: string
  readonly json?: string
}

const whole = (text: string): number => {
  const n = Number(text)
  if (!Number.isSafeInteger(n) || n < 0) throw new WorkloadError('option', 0, `a whole number is wanted, found "${text}"`)
  return n
}

/** One operation a line, as in a workload without its header; a write may carry `readable`. */
export const parseOps = (text: string, file: string): KernelOperation[] =>
  text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return []
    let value: Record<string, unknown>
    try {
      value = JSON.parse(line) as Record<string, unknown>
    } catch {
      throw new WorkloadError(file, i + 1, `not a line of JSON: ${line.slice(0, 60)}`)
    }
    const { readable, ...operation } = value
    const problem = operationProblem(operation)
    if (problem !== undefined) throw new WorkloadError(file, i + 1, problem)
    if (readable === undefined) return [operation as unknown as KernelOperation]
    if (operation['op'] !== 'write' || !Number.isSafeInteger(readable) || (readable as number) < 0) {
      throw new WorkloadError(file, i + 1, '"readable" is a number of bytes >= 0, and only a write has it')
    }
    return [value as unknown as KernelOperation]
  })

/** What a run found. */
interface Tally {
  sequences: number
  operations: number
  readonly rules: Map<string, number>
  readonly failures: { readonly sequence: number; readonly differences: readonly Difference[] }[]
}

const note = (tally: Tally, sequence: number, ops: readonly KernelOperation[], found: readonly Difference[]): void => {
  tally.sequences++
  tally.operations += ops.length
  for (const d of found) if (d.rule !== null) tally.rules.set(d.rule, (tally.rules.get(d.rule) ?? 0) + 1)
  const unexplained = found.filter((d) => d.rule === null)
  if (unexplained.length > 0) tally.failures.push({ sequence, differences: unexplained })
}

const sequences = (o: Options): { n: number; ops: KernelOperation[] }[] =>
  o.ops !== undefined
    ? [{ n: 0, ops: parseOps(readFileSync(o.ops, 'utf8'), o.ops) }]
    : Array.from({ length: o.count }, (_, n) => ({
        n,
        ops: conformSequence(o.seed, n, { length: o.length, unwritten: o.kernel !== 'ext2', fill: n % 5 === 4 }),
      }))

/** Run and print. @returns the exit code */
export const runConform = async (o: Options): Promise<number> => {
  const name = o.strategy ?? NEAREST[o.kernel]
  const strategy: AnyStrategy | undefined = strategies.find((s) => s.name === name)
  if (strategy === undefined) {
    console.error(`conform: no design "${name}"; known are ${strategies.map((s) => s.name).join(', ')}`)
    return 2
  }
  const todo = sequences(o)
  const can = KernelArm.available(o.kernel)
  if (!can.ok) {
    console.error(`conform: ${o.kernel} is not available here: ${can.why}`)
    return 3
  }
  const arms = await Conformance.open({ kernel: o.kernel, strategy, blockSize: o.blockSize })
  const tally: Tally = { sequences: 0, operations: 0, rules: new Map(), failures: [] }
  const started = Date.now()
  try {
    for (const { n, ops } of todo) {
      note(tally, n, ops, await arms.run(ops))
      if (n % 100 === 99 && Date.now() - started > 2000) console.error(`conform: ${n + 1} of ${todo.length} sequences`)
    }
  } finally {
    await arms.close()
  }
  print(o, name, tally, todo)
  return tally.failures.length > 0 ? 1 : 0
}

const print = (o: Options, name: string, tally: Tally, todo: readonly { ops: readonly KernelOperation[] }[]): void => {
  console.log(`${name} against the kernel's ${o.kernel}, ${o.blockSize} B blocks, seed ${o.seed}`)
  console.log(`  ${tally.sequences} sequences, ${tally.operations} operations, ${tally.failures.length} unexplained`)
  for (const [rule, n] of [...tally.rules].sort()) console.log(`  inside the envelope: ${rule} ${n} times`)
  for (const { sequence, differences } of tally.failures.slice(0, 3)) {
    for (const d of differences.slice(0, 5)) {
      const where = d.at < 0 ? 'at the end' : `operation ${d.at}`
      console.log(`  FAIL sequence ${sequence}, ${where}, ${d.what}: ours ${d.ours}, kernel ${d.kernel}`)
    }
    console.log(`  replay: put these lines into FILE and run: perform-write conform --kernel ${o.kernel} --strategy ${name} --ops FILE`)
    for (const op of todo[sequence]!.ops) console.log(JSON.stringify(op))
  }
  if (o.json === undefined) return
  const result = {
    schema: 1, tool: 'perform-write', command: 'conform', strategy: name, kernel: o.kernel, seed: o.seed,
    sequences: tally.sequences, operations: tally.operations, envelope: Object.fromEntries([...tally.rules].sort()),
    failures: tally.failures,
  }
  writeFileSync(o.json, `${JSON.stringify(result, null, 2)}\n`)
}

/** The command, to be added to the program. */
export const conformCommand = (): Command =>
  new Command('conform')
    .description('run the same operations here and in the mounted kernel, and compare (needs root and loop devices)')
    .addOption(new Option('--kernel <name>', 'the kernel file system').choices(KERNELS).makeOptionMandatory())
    .option('--strategy <name>', 'our design; default: the one that the driver is closest to')
    .option('--seed <n>', 'seed of the sequences', whole, 1)
    .option('--count <n>', 'how many sequences', whole, 100)
    .option('--length <n>', 'operations in each', whole, 20)
    .option('--ops <file>', 'one sequence from a file, an operation a line, instead of generated ones')
    .addOption(new Option('--block-size <bytes>', 'block size').choices(['1024', '2048', '4096']).default('4096'))
    .option('--json <file>', 'also write the result to a file')
    .action(async (options: Record<string, unknown>) => {
      try {
        process.exitCode = await runConform({ ...options, blockSize: Number(options['blockSize']) } as unknown as Options)
      } catch (error) {
        if (!(error instanceof WorkloadError) && (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
        console.error(`conform: ${(error as Error).message}`)
        process.exitCode = 2
      }
    })
