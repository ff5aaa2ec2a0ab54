/**
 * Structure: does everything on disk agree with everything else? For modes that promise it after recovery.
 *
 * Every inode in use is walked; no block has two owners, the bitmaps say exactly what has an owner, the counts of each group what
 * its bitmaps say, every name leads to an inode in use, every inode has as many links as names, and no written block starts past
 * the size. An inode without a name must be on the orphan list. Made of units (engine.ts): one for each block of the inode table
 * and each directory, so that a state costs what changed in it.
 */
import { groupBlocks, groupStart, SB, SB_POS } from '../../fs/formats/superblock.ts'
import { Unit, type Reader } from './engine.ts'
import { type FoundInode, type FoundMap, inodeAt, inodePlace, type Layout, mapOf, metadataRuns, namesOf, type ReadBlock } from './ext.ts'
import type { Finding } from './expect.ts'

/** An inode in use, as far as the structure goes. */
interface Held {
  readonly ino: number
  readonly links: number
  readonly isDirectory: boolean
  /** [start, n) runs of blocks: data, map, attributes. */
  readonly runs: readonly (readonly [number, number])[]
  readonly problem: string | null
  /** A written block starts past i_size (e2fsck, pass 1: "i_size is ..., should be ..."); of a file on the orphan list that may be. */
  readonly past: string | null
}

const ROOT = 2
/** bg_flags. */
const INODE_UNINIT = 1
const BLOCK_UNINIT = 2
/** Most sentences about one state. */
const MOST = 4

const hasMap = (i: FoundInode): boolean =>
  i.isFile || i.isDirectory || ((i.mode & 0o170000) === 0o120000 && !i.isShort) || (i.ino < 11 && i.mode !== 0)

/** The questions about the structure of one file system. */
export class Structure {
  readonly top: Unit<readonly Finding[]>
  readonly #layout: Layout
  readonly #tables = new Map<number, Unit<readonly Held[]>>()
  readonly #directories = new Map<number, Unit<readonly (readonly [string, number])[] | string>>()
  readonly #interned = new Map<string, unknown>()
  readonly #metadata: readonly { readonly start: number; readonly n: number }[]

  constructor(layout: Layout) {
    this.#layout = layout
    this.#metadata = metadataRuns(layout)
    this.top = new Unit('structure', (read) =>
      this.#problems(read).slice(0, MOST).map((what) => ({ claim: 'I5', what, declared: false })))
  }

  #intern<A>(key: string, value: A): A {
    const known = this.#interned.get(key)
    if (known !== undefined) return known as A
    this.#interned.set(key, value)
    return value
  }

  /** Inodes of one block of the inode table. */
  #table(nr: number, first: number): Unit<readonly Held[]> {
    let unit = this.#tables.get(nr)
    if (unit === undefined) {
      const per = Math.floor(this.#layout.geo.blockSize / this.#layout.geo.inodeSize)
      unit = new Unit(`table block ${nr}`, (read) => {
        const held: Held[] = []
        for (let i = 0; i < per; i++) {
          const inode = inodeAt(this.#layout, read.block(nr), i * this.#layout.geo.inodeSize, first + i)
          if (inode.mode !== 0) held.push(this.#held(inode, (b) => read.block(b)))
        }
        return this.#intern(`t${nr} ${JSON.stringify(held)}`, held)
      })
      this.#tables.set(nr, unit)
    }
    return unit
  }

  #held(inode: FoundInode, read: ReadBlock): Held {
    const { ino, links, isDirectory, acl } = inode
    const map: FoundMap = hasMap(inode) ? mapOf(this.#layout, read, inode) : { runs: [], own: [], problem: null }
    const runs: [number, number][] = map.runs.map(({ pblk, n }) => [pblk, n])
    for (const nr of map.own) runs.push([nr, 1])
    if (acl !== 0) runs.push([acl, 1])
    const last = map.runs.findLast((r) => !r.unwritten)
    const at = last === undefined ? 0 : (last.lblk + last.n - 1) * this.#layout.geo.blockSize
    return {
      ino, links, isDirectory, runs, problem: map.problem === null ? null : `inode ${ino}: ${map.problem}`,
      past: inode.isFile && at > inode.size ? `inode ${ino}: a written block at ${at}, and the size is ${inode.size}` : null,
    }
  }

  #names(ino: number): Unit<readonly (readonly [string, number])[] | string> {
    let unit = this.#directories.get(ino)
    if (unit === undefined) {
      unit = new Unit(`directory ${ino}`, (read) => {
        const { nr, at } = inodePlace(this.#layout, ino)
        const names = namesOf(this.#layout, (b) => read.block(b), inodeAt(this.#layout, read.block(nr), at, ino))
        const found = typeof names === 'string' ? names : names.map((n) => [n.name, n.ino] as const)
        return this.#intern(`d${ino} ${JSON.stringify(found)}`, found)
      })
      this.#directories.set(ino, unit)
    }
    return unit
  }

  /** Inodes that the bitmaps say are in use, with what the tables say of them. */
  #inUse(read: Reader): { held: Map<number, Held>; unused: number[] } {
    const { geo, groups } = this.#layout
    const held = new Map<number, Held>()
    const unused: number[] = []
    const per = Math.floor(geo.blockSize / geo.inodeSize)
    for (const [g, { inodeBitmap, table }] of groups.entries()) {
      if ((this.#flags(read, g) & INODE_UNINIT) !== 0) continue
      const bits = read.block(inodeBitmap)
      for (let i = 0; i < geo.inodesPerGroup; i++) {
        if ((bits[i >>> 3]! & (1 << (i & 7))) === 0) continue
        const ino = g * geo.inodesPerGroup + i + 1
        const block = Math.floor(i / per)
        const found = read.unit(this.#table(table + block, g * geo.inodesPerGroup + block * per + 1)).find((h) => h.ino === ino)
        if (found !== undefined) held.set(ino, found)
        else if (ino >= geo.firstIno || ino === ROOT) unused.push(ino)
      }
    }
    return { held, unused }
  }

  #desc(g: number): { nr: number; at: number } {
    const { geo } = this.#layout
    return { nr: geo.firstDataBlock + 1 + Math.floor((g * geo.descSize) / geo.blockSize), at: (g * geo.descSize) % geo.blockSize }
  }

  #flags(read: Reader, g: number): number {
    const { nr, at } = this.#desc(g)
    return read.block(nr).readUInt16LE(at + 18)
  }

  #orphans(read: Reader): Set<number> {
    const { geo } = this.#layout
    const orphans = new Set<number>()
    const at = SB_POS % geo.blockSize
    let ino = read.block(Math.floor(SB_POS / geo.blockSize)).readUInt32LE(at + SB.lastOrphan)
    while (ino !== 0 && ino <= geo.totalInodes && !orphans.has(ino)) {
      orphans.add(ino)
      const place = inodePlace(this.#layout, ino)
      ino = inodeAt(this.#layout, read.block(place.nr), place.at, ino).dtime
    }
    return orphans
  }

  #problems(read: Reader): string[] {
    const { geo } = this.#layout
    const wrong: string[] = []
    const sb = read.block(Math.floor(SB_POS / geo.blockSize))
    if (sb.readUInt16LE((SB_POS % geo.blockSize) + SB.magic) !== 0xef53) return ['the superblock has no magic']
    const { held, unused } = this.#inUse(read)
    const orphans = this.#orphans(read)
    for (const h of held.values()) if (h.past !== null && !orphans.has(h.ino)) wrong.push(h.past)
    for (const ino of unused) wrong.push(`inode ${ino} is in use by the bitmap and empty in the table`)
    this.#owners(read, held, wrong)
    this.#links(read, held, orphans, wrong)
    return wrong
  }

  #owners(read: Reader, held: ReadonlyMap<number, Held>, wrong: string[]): void {
    const { geo, groups } = this.#layout
    const owner = new Int32Array(geo.totalBlocks)
    const take = (start: number, n: number, who: number): void => {
      for (let b = start; b < start + n; b++) {
        if (owner[b] !== 0) wrong.push(`block ${b} is of ${sayOwner(who)} and of ${sayOwner(owner[b]!)}`)
        owner[b] = who
      }
    }
    for (const { start, n } of this.#metadata) take(start, n, -1)
    for (const { ino, runs, problem } of held.values()) {
      if (problem !== null) wrong.push(problem)
      for (const [start, n] of runs) take(start, n, ino)
    }
    for (const [g, { blockBitmap }] of groups.entries()) {
      if ((this.#flags(read, g) & BLOCK_UNINIT) !== 0) continue
      const bits = read.block(blockBitmap)
      const start = groupStart(geo, g)
      let free = 0
      for (let i = 0, n = groupBlocks(geo, g); i < n; i++) {
        const isSet = (bits[i >>> 3]! & (1 << (i & 7))) !== 0
        if (!isSet) free++
        if (isSet === (owner[start + i] !== 0)) continue
        wrong.push(isSet ? `block ${start + i} is in use by the bitmap and nobody's`
          : `block ${start + i} of ${sayOwner(owner[start + i]!)} is free by the bitmap`)
        if (wrong.length > MOST) return
      }
      const { nr, at } = this.#desc(g)
      const counted = read.block(nr).readUInt16LE(at + 12)
      if (counted !== free) wrong.push(`group ${g} counts ${counted} free blocks, its bitmap ${free}`)
    }
  }

  #links(read: Reader, held: ReadonlyMap<number, Held>, orphans: ReadonlySet<number>, wrong: string[]): void {
    const names = new Map<number, number>()
    for (const { ino, isDirectory } of held.values()) {
      if (!isDirectory || orphans.has(ino)) continue
      const found = read.unit(this.#names(ino))
      if (typeof found === 'string') {
        wrong.push(`directory ${ino}: ${found}`)
        continue
      }
      for (const [name, to] of found) {
        if (!held.has(to)) wrong.push(`${name} in directory ${ino} names inode ${to}, which is not in use`)
        names.set(to, (names.get(to) ?? 0) + 1)
      }
    }
    for (const { ino, links } of held.values()) {
      if (ino !== ROOT && ino < this.#layout.geo.firstIno) continue
      const n = names.get(ino) ?? 0
      if (n === 0 && orphans.has(ino)) continue
      if (n !== links) wrong.push(`inode ${ino} has ${links} links and ${n} names`)
    }
  }
}

const sayOwner = (who: number): string => (who < 0 ? 'metadata' : `inode ${who}`)
