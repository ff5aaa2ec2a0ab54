/** Numbers and sizes as people read them. */

/** A count per something: three significant digits, no more; 0 as `0`, a trace as `<0.01`. */
export const perUnit = (n: number): string => {
  if (n === 0) return '0'
  if (n < 0.01) return '<0.01'
  if (n < 10) return trim(n.toFixed(2))
  if (n < 100) return trim(n.toFixed(1))
  return count(Math.round(n))
}

const trim = (s: string): string => s.replace(/\.?0+$/, '')

/** A whole number with thousands set apart: `12,345`. */
export const count = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ',')

/** Bytes as `3.3 MiB`. */
export const bytes = (n: number): string => {
  for (const [unit, size] of [['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 2 ** 10]] as const) {
    if (n >= size) return `${trim((n / size).toFixed(1))} ${unit}`
  }
  return `${n} B`
}

/** `1 claim`, `2 claims`. */
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`
