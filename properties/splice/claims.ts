/**
 * Claims SPLICE-1 to SPLICE-9: what a write must keep whose source may give its pages away.
 *
 * 1 to 5, 7 and 8 are judged in worlds (judges below), beside all other claims; 6 and 9 compare two runs and are properties of
 * their own (splice.test.ts). Sources: seed 001; fs/splice.c; the commits named at each.
 */
import { CHANGED } from '../../src/lab/check/digests.ts'
import type { Judge, Look } from '../../src/lab/check/judge.ts'
import { SCRIBBLE } from '../../src/lab/check/spliced.ts'
import { PAGE } from '../../src/kernel/units.ts'
import { DIRTY, UPTODATE } from '../../src/pagecache/folio.ts'
import { type PipeBuffer, STOLEN } from '../../src/pipe/pipe-buffer.ts'

/** One claim about splice. */
export interface SpliceClaim {
  readonly id: `SPLICE-${number}`
  /** At most 36 characters. */
  readonly short: string
  readonly sentence: string
  readonly source: string
  /** Empty: a property of two runs, in splice.test.ts. */
  readonly judges: readonly Omit<Judge, 'claim'>[]
}

const ANY = CHANGED.folio | CHANGED.bytes | CHANGED.lock | CHANGED.history | CHANGED.cache

/** What the splice that has just returned says of its pipe, if it is this claim. */
const told = (id: string): Omit<Judge, 'claim'> => ({
  on: CHANGED.history,
  step: ({ history: { newest } }) => (newest?.spliced?.claim === id ? newest.spliced.what : null),
})

/** The first page on its way from a pipe of which `wrong` has something to say. */
const onItsWay = (wrong: (b: PipeBuffer, look: Look) => string | null): Omit<Judge, 'claim'> => ({
  on: ANY,
  step: (look) => {
    for (const pipe of look.world.place.pipes) {
      for (let i = 0; i < pipe.used; i++) {
        const b = pipe.at(i)
        const what = (b.flags & STOLEN) === 0 ? null : wrong(b, look)
        if (what !== null) return what
      }
    }
    return null
  },
})

/** A page that is in the file, and whose write has not accepted it yet, is not uptodate: no reader may have it. */
const notYet = (b: PipeBuffer, look: Look): string | null => {
  const f = b.folio!
  if (f.home !== look.inode.pages || f.dirty || !f.locked) return null
  return f.any(0, f.size, UPTODATE) ? `the page given for page ${f.index} is uptodate before its write has accepted it` : null
}

const unlocked = (b: PipeBuffer, look: Look): string | null => {
  const f = b.folio!
  if (f.locked || f.home !== look.inode.pages || f.all(0, f.size, UPTODATE | DIRTY)) return null
  return f.any(0, f.size, UPTODATE) ? null : `the page given for page ${f.index} is in the file, neither locked nor written`
}

/** Bytes that a process stored to a page after it gave it away. */
const scribbled = (look: Look): string | null => {
  for (const f of look.folios) {
    for (let at = 0; at < f.size && f.pos + at < look.inode.size; at += 512) {
      if (f.slab.bytes[f.base + at] === SCRIBBLE) return `byte ${f.pos + at} of the file shows what was stored after the splice`
    }
  }
  return null
}

/** Where what was stored later is looked for when nothing is cached any more. */
const scribbledOnDisk = (look: Look): readonly string[] => {
  const at = look.contents?.indexOf(SCRIBBLE) ?? -1
  return at < 0 ? [] : [`byte ${at} of the file shows what was stored after the splice`]
}

/** The claims. */
export const SPLICE_CLAIMS: readonly SpliceClaim[] = [
  {
    id: 'SPLICE-1', short: 'consumed = written = returned',
    sentence: 'What leaves the pipe is what was written and what is returned, whatever fails on the way (ENOSPC, EIO, a signal); ' +
      'the rest stays in the pipe, unchanged and readable.',
    source: 'seed 001; 419e9c38aa07; measured on 6.18: 64 KiB of 128 written to a full tmpfs, 64 KiB still in the pipe',
    judges: [told('SPLICE-1')],
  },
  {
    id: 'SPLICE-2', short: 'later stores do not reach the file',
    sentence: 'The file holds the bytes that the source had when they were consumed; what a holder of the source stores later changes ' +
      'neither the file nor the disk.',
    source: 'lkml 2606.0/07354 (Torvalds, 2026: "try_steal was kind of lie")',
    judges: [{ on: ANY, step: scribbled, when: ['rest', 'synced', 'cold'], rest: scribbledOnDisk }],
  },
  {
    id: 'SPLICE-3', short: 'a page of a file has one owner',
    sentence: 'A page that was taken belongs to one file and to nobody else: no page with a second reference is ever taken.',
    source: '712a951025c0; generic_pipe_buf_try_steal (fs/pipe.c)', judges: [told('SPLICE-3')],
  },
  {
    id: 'SPLICE-4', short: 'no reader sees a page on its way',
    sentence: 'From its insertion until its write accepts it a page is locked and not uptodate; if the write is undone, a reader ' +
      'gets the hole or the old data, never the page.',
    source: '485ddb4b9741: a page that is inserted uptodate cannot be taken back', judges: [onItsWay(notYet), onItsWay(unlocked)],
  },
  {
    id: 'SPLICE-5', short: 'only whole pages are taken',
    sentence: 'A page that the source fills in part is copied: what else is in it is nobody\'s.',
    source: 'fuse_try_move_folio (fs/fuse/dev.c): full pages only',
    judges: [onItsWay((b) => (b.len === PAGE && b.off === 0 ? null : `a page of which ${b.len} bytes are meant was taken`))],
  },
  {
    id: 'SPLICE-6', short: 'a design may ignore the offer',
    sentence: 'A file system that does not look at the offered page gives the same result, the same bytes and the same rest in the pipe.',
    source: 'seed 001: "file systems with unmodified ->write_begin() will act correctly (just do the copying)"', judges: [],
  },
  {
    id: 'SPLICE-7', short: 'no page under writeback is taken',
    sentence: 'A page that its old file is writing back stays where it is until that ends: its blocks are not used for something else, ' +
      'and the device does not read what is another file\'s by now.',
    source: 'ad8d6f0a783f',
    judges: [onItsWay((b) => (b.folio!.writeback ? 'a page was taken that is still under writeback' : null))],
  },
  {
    id: 'SPLICE-8', short: 'a tee\'d source keeps its data',
    sentence: 'Whoever has a second reference to a buffer goes on seeing its bytes, whatever is done with the first one.',
    source: 'f4c50a4034e6: a page that is shared has to say so in every pipe', judges: [told('SPLICE-8')],
  },
  {
    id: 'SPLICE-9', short: 'a slot is filled completely',
    sentence: 'Every field of a slot is set each time it is filled: no flag of its last life is left.',
    source: '9d2231c5d74e (Dirty Pipe, CVE-2022-0847)', judges: [],
  },
]

/** Their judges. */
export const SPLICE_JUDGES: readonly Judge[] = SPLICE_CLAIMS.flatMap((c) => c.judges.map((j) => ({ ...j, claim: c.id })))
