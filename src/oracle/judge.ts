/**
 * Judges: programs that others wrote and that say whether an image which we wrote is a good one.
 *
 * | judge   | sees                                                           | is blind to                   |
 * |---------|----------------------------------------------------------------|-------------------------------|
 * | e2fsck  | every structure: bitmaps, counts, maps, links, checksums       | data, a size within a block   |
 * | debugfs | all bytes, sizes, types, link counts and targets, without root | what only a mount meets       |
 * | kernel  | the same through a mount; then writes, and e2fsck looks again  | nothing; needs root and loop  |
 *
 * Obligations of a judge:
 * - `available` says in one line what is missing. A judge that is not available has judged nothing; callers say so.
 * - `judge` leaves the image as it found it.
 * - A refusal comes with lines that name the file or structure and what is wrong with it.
 * - What a judge did not look at is named in `unjudged`; it is never accepted in silence.
 * - It refuses deliberately damaged images (damage.ts): a judge that accepts everything is worse than none.
 */
import type { Availability } from '../host/availability.ts'

export type { Availability } from '../host/availability.ts'

/** Bytes at a position of a file; everything between segments is zeros. */
export interface Sparse {
  readonly pos: number
  readonly bytes: Buffer
}

/** What must be found under one path. Absent fields are not compared. */
export interface ExpectedEntry {
  /** Relative to the root, without a leading `/`. The root itself is not listed. */
  readonly path: string
  readonly type: 'file' | 'directory' | 'symlink'
  /** i_size of a file, bytes. Not compared for others. */
  readonly size: number
  /** All bytes of a file, or those that are not zero. Called when the file is compared. */
  readonly contents?: () => Buffer | readonly Sparse[]
  /** Permission bits, 0o7777. */
  readonly mode?: number
  readonly nlink?: number
  /** What a symbolic link holds. */
  readonly target?: string
}

/** Everything that must be in an image, `lost+found` excepted; a name that is not listed here is refused. */
export type ExpectedTree = Iterable<ExpectedEntry>

/** An image and what must be in it. */
export interface ImageUnderTest {
  readonly path: string
  readonly format: 'ext2' | 'ext4'
  readonly expected: ExpectedTree
}

/** A judge's word on an image. */
export interface Judgement {
  readonly accepted: boolean
  /** Why not: one line for each thing that is wrong. Empty when accepted. */
  readonly lines: readonly string[]
  /** What was not looked at, and why. */
  readonly unjudged: readonly string[]
}

/** A judge; see the file's contract. */
export interface Judge {
  readonly name: string
  available(): Promise<Availability>
  /** @throws Error if the judge cannot work although it is available */
  judge(image: ImageUnderTest): Promise<Judgement>
}

/** The judgement that follows from a list of what is wrong. */
export const judgement = (lines: readonly string[], unjudged: readonly string[] = []): Judgement =>
  ({ accepted: lines.length === 0, lines, unjudged })

/** How many images each judge judged. */
export class Tally {
  private readonly counts = new Map<string, { images: number, refused: number }>()

  /** Count one judgement. */
  add(judge: string, { accepted }: Judgement): void {
    const { images, refused } = this.counts.get(judge) ?? { images: 0, refused: 0 }
    this.counts.set(judge, { images: images + 1, refused: refused + (accepted ? 0 : 1) })
  }

  /** A judge that is counted here under its name, from now on also with no image at all. */
  counted(judge: Judge): Judge {
    if (!this.counts.has(judge.name)) this.counts.set(judge.name, { images: 0, refused: 0 })
    return {
      name: judge.name,
      available: () => judge.available(),
      judge: async image => {
        const given = await judge.judge(image)
        this.add(judge.name, given)
        return given
      },
    }
  }

  /** One line per judge, by name: `judge e2fsck: 123 images, 0 refused`. */
  lines(): string[] {
    return [...this.counts]
      .sort(([a], [b]) => a < b ? -1 : 1)
      .map(([judge, { images, refused }]) => `judge ${judge}: ${images} images, ${refused} refused`)
  }
}
