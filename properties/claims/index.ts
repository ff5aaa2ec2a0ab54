/** All claims, in the order of the tables. */
import type { Judge } from '../../src/lab/check/judge.ts'
import { CALLS } from './calls.ts'
import type { Claim } from './claim.ts'
import { CONTENTS } from './contents.ts'
import { ERRORS } from './errors.ts'
import { ISOLATION } from './isolation.ts'
import { LIVENESS } from './liveness.ts'
import { SIZE } from './size.ts'
import { SPACE } from './space.ts'

const number = (c: Claim): number => Number(c.id.slice(1))

/** Every claim that a check judges. */
export const CLAIMS: readonly Claim[] = [...SPACE, ...CONTENTS, ...LIVENESS, ...SIZE, ...ISOLATION, ...ERRORS, ...CALLS]
  .sort((a, b) => number(a) - number(b))

/** Their judges, in the order in which they look: what says most first. */
export const JUDGES: readonly Judge[] = CLAIMS.flatMap((c) => c.judges.map((j) => ({ ...j, claim: c.id })))
