/**
 * Quota: how many blocks the owner of a file has and was promised, and how many he may have (claim I27).
 *
 * used      data and map blocks of his inodes; counted from the inodes once, at mount (quotaCheck), as XFS does: there is
 *           no quota file on the disk
 * reserved  his share of `Space.reserved`: delayed blocks, map blocks owed for them, and what operations in flight hold
 *
 * Rules: (1) whatever changes `Space.reserved` or the blocks of an inode tells the quota in the same step, without a wait
 * between. (2) Each inode has an entry of its own, so that a change of owner moves exactly what is charged for it, and what
 * is given back twice is found out. (3) Only `reserve` and `allocate` of the file system refuse; what must go on (writeback,
 * a split extent, a directory that grows) is counted and may go over the limit (DQUOT_SPACE_NOFAIL). Blocks that an undo
 * could not give back belong to nobody and are not charged.
 * Sources: fs/xfs/xfs_qm.c (xfs_qm_quotacheck), fs/quota/dquot.c (dquot_reserve_block, dquot_claim_space_nodirty).
 */
import type { Restore } from '../kernel/checkpoint.ts'
import { attempt, type Kernel, raise } from '../kernel/kernel.ts'
import type { Format } from './format.ts'
import type { Inode } from './inode.ts'

/** Blocks of one inode or of one owner. */
export interface Account {
  used: number
  reserved: number
}

/** What one inode is charged with, and to whom. */
interface Charge extends Account {
  readonly uid: number
}

const NOTHING: Readonly<Account> = { used: 0, reserved: 0 }

/** The block quota of one mount, by user. All numbers are blocks. */
export class Quota {
  readonly #limits: Map<number, number>
  readonly #accounts = new Map<number, Account>()
  /** By inode number; an inode without blocks has no entry. */
  readonly #charges = new Map<number, Charge>()

  /** @param limits blocks by user id; who is not in it has no limit. @throws RangeError if one is no whole number >= 0 */
  constructor(limits: Readonly<Record<number, number>> = {}) {
    this.#limits = new Map(Object.entries(limits).map(([uid, blocks]) => [Number(uid), blocks]))
    for (const [uid, blocks] of this.#limits) {
      if (!Number.isInteger(uid) || uid < 0) throw new RangeError('quota: a user id is a whole number, 0 or more')
      if (!Number.isInteger(blocks) || blocks < 0) {
        throw new RangeError(`quota: the limit of user ${uid} is ${blocks}; use a whole number of blocks, 0 or more`)
      }
    }
  }

  /** Users with a limit or an account, ascending. */
  get users(): readonly number[] {
    return [...new Set([...this.#limits.keys(), ...this.#accounts.keys()])].sort((a, b) => a - b)
  }
  /** What a user has and was promised. */
  of(uid: number): Readonly<Account> {
    return this.#accounts.get(uid) ?? NOTHING
  }
  /** The limit of a user; Infinity if he has none. */
  limit(uid: number): number {
    return this.#limits.get(uid) ?? Infinity
  }
  /** Blocks that a user may still take; negative where he went over his limit. */
  room(uid: number): number {
    const { used, reserved } = this.of(uid)
    return this.limit(uid) - used - reserved
  }

  /** The inode's share of what is reserved changed by `n`. @throws Error if more is given back than it holds: a bug */
  reserve(inode: Inode, n: number): void {
    if (n !== 0) this.#change(inode, 0, n)
  }

  /** The inode has `blocks` blocks now, its map included: the difference is charged or given back. */
  settle(inode: Inode, blocks: number): void {
    const delta = blocks - (this.#charges.get(inode.ino)?.used ?? 0)
    if (delta !== 0) this.#change(inode, delta, 0)
  }

  /** The inode belongs to `uid` from now on, and so does what is charged for it (dquot_transfer). */
  transfer(inode: Inode, uid: number): void {
    const { used, reserved } = this.charge(inode)
    if (used !== 0 || reserved !== 0) this.#change(inode, -used, -reserved)
    inode.uid = uid
    if (used !== 0 || reserved !== 0) this.#change(inode, used, reserved)
  }

  /** What is charged for an inode. */
  charge(inode: Inode): Readonly<Account> {
    return this.#charges.get(inode.ino) ?? NOTHING
  }

  #change(inode: Inode, used: number, reserved: number): void {
    const charge = this.#charges.get(inode.ino) ?? { uid: inode.uid, used: 0, reserved: 0 }
    if (charge.uid !== inode.uid) throw new Error(`quota: inode ${inode.ino} changed its owner without a transfer`)
    const account = this.#accounts.get(charge.uid) ?? { used: 0, reserved: 0 }
    charge.used += used
    charge.reserved += reserved
    if (charge.used < 0 || charge.reserved < 0) {
      throw new Error(`quota: inode ${inode.ino} gives back more than it has: ${charge.used} used, ${charge.reserved} reserved`)
    }
    account.used += used
    account.reserved += reserved
    this.#accounts.set(charge.uid, account)
    if (charge.used === 0 && charge.reserved === 0) this.#charges.delete(inode.ino)
    else this.#charges.set(inode.ino, charge)
  }

  checkpoint(): Restore {
    const accounts = [...this.#accounts].map(([uid, a]) => [uid, { ...a }] as const)
    const charges = [...this.#charges].map(([ino, c]) => [ino, { ...c }] as const)
    return () => {
      this.#accounts.clear()
      for (const [uid, a] of accounts) this.#accounts.set(uid, { ...a })
      this.#charges.clear()
      for (const [ino, c] of charges) this.#charges.set(ino, { ...c })
    }
  }
}

/** Data and map blocks of an inode whose map is loaded. */
export const blocksOf = (format: Format, inode: Inode): number => inode.map.realBlocks + format.mapBlocks(inode)

/**
 * Read every inode that is in use, one by one, and say how many blocks it has: the count that a quota starts from, and that
 * a check compares it with. `inCore` are believed before the disk. Raises EIO if the disk cannot be read.
 */
export function* quotaCheck(
  format: Format, inCore: ReadonlyMap<number, Inode>, each: (inode: Inode, blocks: number) => void,
): Kernel<void, 'EIO'> {
  for (let ino = 1; ino <= format.totalInodes; ino++) {
    let inode = inCore.get(ino)
    if (inode === undefined) {
      const read = yield* attempt(() => format.readInode(ino))
      if (read._tag === 'Left' && read.left === 'EIO') return yield* raise('EIO', 'EIO.quotacheck')
      if (read._tag === 'Left') continue
      inode = read.right
    }
    yield* format.loadMap(inode)
    const blocks = blocksOf(format, inode)
    if (blocks > 0) each(inode, blocks)
  }
}
