import type {Response} from 'express';
import type {AnswerStream} from './route.ts';

export interface SendOptions {
  readonly response: Response;
  /** For so many bytes that were sent. */
  readonly charge: (bytes: number) => Promise<void>;
  /** How many bytes are charged at a time. */
  readonly pieceBytes: number;
  /** False for who asks for the headers alone. */
  readonly isWanted: boolean;
}

/** Sends an answer while it is made, no faster than it is read. @throws what its chunks throw; after the first one the answer has to be cut */
export const sendStream = async (
  {type, fileName, chunks}: AnswerStream,
  {response, charge, pieceBytes, isWanted}: SendOptions,
): Promise<void> => {
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    let chunk = await iterator.next();
    response.status(200);
    response.setHeader('Content-Type', `${type}; charset=utf-8`);
    response.setHeader('Content-Disposition', `attachment; filename="${fileName}"`);
    let owed = 0;
    for (; isWanted && chunk.done !== true && !response.closed; chunk = await iterator.next()) {
      owed += Buffer.byteLength(chunk.value);
      if (!response.write(chunk.value)) await drained(response);
      if (owed >= pieceBytes) {
        await charge(owed);
        owed %= pieceBytes;
      }
    }
    response.end();
  } finally {
    await iterator.return?.();
  }
};

/** Until more can be sent, or nobody reads any more. */
const drained = (response: Response): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
