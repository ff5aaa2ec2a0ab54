/** The version of this package. */
import { readFileSync } from 'node:fs'

/** From the package's own file: two folders up in the sources, three in what is installed. */
export const toolVersion = (): string => {
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      return (JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as { version: string }).version
    } catch {
      continue
    }
  }
  return 'unknown'
}
