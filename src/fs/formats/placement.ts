/**
 * In which group a new inode is looked for first: directories are spread, files stay with their directory.
 *
 * Source: find_group_dir and find_group_other of fs/ext2/ialloc.c.
 */
import type { Descriptors } from './descriptors.ts'
import type { Geometry } from './superblock.ts'

/** The group with the most free blocks among those with at least an average share of free inodes. */
export const groupForDirectory = (geo: Geometry, descs: Descriptors, freeInodes: number): number => {
  const average = Math.floor(freeInodes / geo.groupCount)
  let best = 0
  let most = -1
  for (let g = 0; g < geo.groupCount; g++) {
    if (descs.count(g, 'freeInodes') < average || descs.count(g, 'freeBlocks') <= most) continue
    best = g
    most = descs.count(g, 'freeBlocks')
  }
  return best
}

/** Group `near`, or the next one around that has an inode and a block. */
export const groupForFile = (geo: Geometry, descs: Descriptors, near: number): number => {
  for (let i = 0; i < geo.groupCount; i++) {
    const g = (near + i) % geo.groupCount
    if (descs.count(g, 'freeInodes') > 0 && descs.count(g, 'freeBlocks') > 0) return g
  }
  return near
}
