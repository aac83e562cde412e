import {hash} from 'node:crypto';

/** The receipt's id, derived from what it is for: every process and every repetition gives the same one. */
export const receiptId = (deviceId: string, epoch: number, batchSeq: number): string =>
  `r_${hash('sha256', `${deviceId}:${epoch}:${batchSeq}`, 'base64url').slice(0, 22)}`;
