/** The report of `locks`: which lock was taken while which was held, by design, and what goes round in a circle. */
import { lockCycle } from '../lab/check/lock-order.ts'
import { count } from './format.ts'
import { broken, paint, table, wrap } from './table.ts'

/** The lock order of one design, as its runs showed it. Plain data. */
export interface ObservedOrder {
  readonly strategy: string
  readonly executions: number
  /** `a -> b`: b was taken while a was held; how often. */
  readonly edges: Readonly<Record<string, number>>
}

/** One row an edge, one column a design. */
export const locksTable = (orders: readonly ObservedOrder[]): string => {
  const edges = [...new Set(orders.flatMap((o) => Object.keys(o.edges)))].sort()
  const rows = edges.map((edge) => [edge, ...orders.map((o) => (o.edges[edge] === undefined ? '·' : count(o.edges[edge])))])
  return table(['held -> taken', ...orders.map((o) => broken(o.strategy))], rows)
}

/** The cycle of a design, or null. One is a deadlock that some schedule may reach. */
export const cycleOf = (o: ObservedOrder): string | null => lockCycle(new Map(Object.entries(o.edges)))

/** One line a design with a cycle; one in all if there is none. */
export const cycleLines = (orders: readonly ObservedOrder[]): string => {
  const found = orders.flatMap((o) => {
    const cycle = cycleOf(o)
    return cycle === null ? [] : [`${wrap(`${paint('red', '✗')} ${o.strategy} takes locks in both orders: ${cycle}`, 4)}\n`]
  })
  return found.length > 0 ? found.join('') : 'no cycle: every design takes its locks in one order, as far as these runs went\n'
}
