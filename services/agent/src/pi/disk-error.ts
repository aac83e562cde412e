/** Errors of a disk after which a device goes on, and tries again. */

const codeIn = (error: unknown, codes: readonly unknown[]): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && codes.includes(error.code);

/** True for the errors of a disk or a quota that is full. */
export const isFull = (error: unknown): boolean => codeIn(error, ['ENOSPC', 'EDQUOT']);

/** True for the errors of a card that fails. Linux makes a file system read-only after one. What was written last may be there, in parts, or not. */
export const isFailing = (error: unknown): boolean => codeIn(error, ['EIO', 'EROFS']);

/** The disk takes nothing, for now. */
export const isRefused = (error: unknown): boolean => isFull(error) || isFailing(error);
