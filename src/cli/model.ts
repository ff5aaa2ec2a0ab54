/**
 * The independent model as the checker of a replay, and as what judges expect in an image.
 *
 * The model lies in `properties/` and shares no code with the write path. A replay on a device with room may not fail or
 * write short at all; on a small one (`room` false) ENOSPC and what follows from it are taken as they come.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { ByteModel } from '../../properties/models/byte-model.ts'
import { type Node, paths } from '../../properties/models/name-tree.ts'
import type { Checker } from '../lab/cost.ts'
import type { Session } from '../lab/session.ts'
import type { Operation } from '../lab/workload/operation.ts'
import { fillPayload } from '../lab/workload/payload.ts'
import type { ExpectedEntry } from '../oracle/judge.ts'

/** How the replay is made. */
export interface ModelChecks {
  readonly salt?: number
  /** The device has room for the workload: nothing may fail. */
  readonly room: boolean
}

/** Checks a replay on `session` against the byte model. */
export class ModelChecker implements Checker {
  readonly #model: ByteModel
  #doubt: string | null = null

  constructor(session: Session, { salt = 0, room }: ModelChecks) {
    const { format } = session.fs
    this.#model = new ByteModel({
      blockSize: format.blockSize, unwritten: format.hasUnwritten, maxBytes: format.maxBytes,
      payload: (index, len) => {
        const bytes = Buffer.alloc(len)
        fillPayload(bytes, index, salt)
        return bytes
      },
      mayFail: (op, errno) =>
        isUnsupported(op, errno, format.hasUnwritten) || (!room && (errno === null || errno === 'ENOSPC')),
    })
  }

  apply(op: Operation, index: number, actual: { n: number; errno: string | null; bytes: Buffer }): string | null {
    const wrong = this.#model.apply(op, index, actual)
    if (this.#model.doubt !== null) this.#doubt ??= `${op.op} of operation ${index} stopped half-way`
    return wrong === null ? null : `operation ${index}, ${wrong}`
  }

  compare(session: Session): string[] {
    if (this.#doubt !== null) return []
    const wrong: string[] = []
    for (const [path, node] of paths(this.#model.root)) {
      const what = compareOne(session, path, node)
      if (what !== null) wrong.push(`${path}: ${what}`)
    }
    return wrong
  }

  /** What an image must hold. */
  expected(): ExpectedEntry[] {
    return [...paths(this.#model.root)].map(([path, node]) => ({
      path, type: node.kind, size: node.bytes.size,
      ...(node.kind === 'file' && { contents: () => node.bytes.read(0, node.bytes.size) }),
      ...(node.kind === 'symlink' && { target: node.target }),
    }))
  }
}

/** fallocate on a format without unwritten extents: the recording was made on another. */
const isUnsupported = (op: Operation, errno: string | null, unwritten: boolean): boolean =>
  !unwritten && op.op === 'fallocate' && errno === 'EOPNOTSUPP'

/** Bytes compared at a time. */
const CHUNK = 1 << 20

const compareOne = ({ posix }: Session, path: string, node: Node): string | null => {
  if (node.kind === 'symlink') {
    const target = posix.readlink(path)
    if (isLeft(target)) return `readlink failed with ${target.left}`
    return target.right === node.target ? null : `points to ${target.right}, expected ${node.target}`
  }
  const stat = posix.stat(path, false)
  if (isLeft(stat)) return `stat failed with ${stat.left}`
  if (node.kind === 'directory') return null
  if (stat.right.size !== node.bytes.size) return `the size is ${stat.right.size}, expected ${node.bytes.size}`
  const fd = posix.open(path, ['O_RDONLY'])
  if (isLeft(fd)) return `open failed with ${fd.left}`
  try {
    for (let pos = 0; pos < node.bytes.size; pos += CHUNK) {
      const want = node.bytes.read(pos, Math.min(CHUNK, node.bytes.size - pos))
      const got = Buffer.alloc(want.length)
      const n = posix.pread(fd.right, got, pos)
      if (isLeft(n)) return `read at ${pos} failed with ${n.left}`
      if (!want.equals(got)) {
        const at = want.findIndex((b, i) => b !== got[i])
        return `byte ${pos + at} is 0x${got[at]!.toString(16)}, expected 0x${want[at]!.toString(16)}`
      }
    }
    return null
  } finally {
    posix.close(fd.right)
  }
}
