/** The process of the judges: an image comes in, what each of them says goes out. Ends when its parent does. */
import { e2fsck } from '../oracle/e2fsck.ts'
import { availableJudges, type Said, type Shown } from './court.ts'

const { judges } = await availableJudges()

const judge = async ({ path, format, expected }: Shown): Promise<Said> => {
  const entries = (expected ?? []).map(({ bytes, ...entry }) => ({
    ...entry, ...(bytes !== undefined && { contents: () => Buffer.from(bytes) }),
  }))
  const said: { judge: string; lines: readonly string[] }[] = []
  for (const each of judges) {
    if (expected === null && each !== e2fsck) continue
    const { accepted, lines } = await each.judge({ path, format, expected: entries })
    said.push({ judge: each.name, lines: accepted ? [] : lines.length > 0 ? lines : ['refused'] })
  }
  return said
}

process.on('message', (shown: Shown) => {
  judge(shown).then(
    (said) => process.send!(said),
    (e: unknown) => process.send!({ error: e instanceof Error ? e.message : String(e) }),
  )
})
process.on('disconnect', () => process.exit())
