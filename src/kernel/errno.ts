/**
 * Errnos: the only way in which a system call fails.
 *
 * Outside, a call fails with one of these names, upper case as in errno(3). Inside, each failure also
 * carries one private *fault code* (`ENOSPC.reserve`, `ENOSPC.bitmap`) that is thrown in exactly one place,
 * so that a counterexample says which line refused.
 *
 * Source of the idea: bcachefs, Documentation/filesystems/bcachefs/errorcodes.rst.
 */

/** Linux numbers of the errnos that perform-write knows (include/uapi/asm-generic/errno*.h). */
export const ERRNO = {
  EPERM: 1, ENOENT: 2, EINTR: 4, EIO: 5, ENXIO: 6, EBADF: 9, EAGAIN: 11, ENOMEM: 12, EACCES: 13, EFAULT: 14, EBUSY: 16,
  EEXIST: 17, EXDEV: 18, ENOTDIR: 20, EISDIR: 21, EINVAL: 22, EMFILE: 24, ETXTBSY: 26, EFBIG: 27, ENOSPC: 28, EROFS: 30,
  EMLINK: 31, EPIPE: 32, ENAMETOOLONG: 36, ENOTEMPTY: 39, ELOOP: 40, EILSEQ: 84, EOPNOTSUPP: 95, EUCLEAN: 117, EDQUOT: 122,
  ECANCELED: 125, ERESTARTSYS: 512,
} as const

/** An errno by name. `ERESTARTSYS` is internal to the kernel and never reaches a caller of the POSIX interface. */
export type Errno = keyof typeof ERRNO

/** True if `name` is an errno that perform-write knows. */
export const isErrno = (name: string): name is Errno => Object.hasOwn(ERRNO, name)
