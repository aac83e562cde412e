import {createHash} from 'node:crypto';

/** The receipt's id, derived from what it is for: every process and every repetition gives the same one. */
export const receiptId = (deviceId: string, epoch: number, batchSeq: number): string =>
  `r_${createHash('sha256').update(`${deviceId}:${epoch}:${batchSeq}`).digest('base64url').slice(0, 22)}`;
