import {createHash} from 'node:crypto';
import {AppError} from '../errors/app-error.ts';

/** What a caller needs to know whether the body that was refused is the one that it sent. */
export interface Received {
  readonly bytes: number;
  /** In hex. */
  readonly sha256: string;
}

export const receivedOf = (body: Buffer): Received => ({
  bytes: body.length,
  sha256: createHash('sha256').update(body).digest('hex'),
});

/**
 * Works on a body that was read; whatever refuses it says then what was read.
 * @throws what `work` threw, an AppError with the member `received`
 */
export const onReceived = async <T>(body: Buffer, work: () => T | Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    throw error instanceof AppError ? error.with({received: receivedOf(body)}) : error;
  }
};
