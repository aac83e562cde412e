import type {IncomingMessage} from 'node:http';
import {Readable} from 'node:stream';
import {gzipSync} from 'node:zlib';
import {expect, test} from '@jest/globals';
import {AppError} from '../errors/app-error.ts';
import {readBody} from './read-body.ts';

const LIMITS = {maxBytes: 100_000, maxInflatedBytes: 200_000, timeoutMs: 1000};

const requestOf = (pieces: readonly Buffer[], headers = {}): IncomingMessage =>
  // Of a request, readBody uses the stream and its headers.
  Object.assign(Readable.from(pieces, {objectMode: false}), {headers}) as unknown as IncomingMessage;

const createAccount = (maxBytes = Infinity) => {
  const seen: (number | 'arrived')[] = [];
  return {
    seen,
    holds: (bytes: number) => {
      if (bytes > maxBytes) throw new AppError('overloaded', 'no room');
      seen.push(bytes);
    },
    arrived: () => void seen.push('arrived'),
  };
};

test('a body is counted as it comes, then as what it may inflate to, then as what it did', async () => {
  const body = Buffer.alloc(50_000, 'ab');
  const sent = gzipSync(body);
  const account = createAccount();
  const pieces = [sent.subarray(0, 20), sent.subarray(20)];
  expect(await readBody(requestOf(pieces, {'content-encoding': 'gzip'}), LIMITS, account)).toEqual(body);
  expect(account.seen).toEqual([20 + 512, sent.length + 2 * 512, 'arrived', sent.length * 9, 50_000]);
});

test('who sends bytes one by one pays for what each costs, and is turned away when there is no room', async () => {
  const pieces = Array.from({length: 100}, () => Buffer.from('a'));
  const account = createAccount(10_000);
  await expect(readBody(requestOf(pieces), LIMITS, account)).rejects.toThrow('no room');
  expect(account.seen).toHaveLength(19);
});
