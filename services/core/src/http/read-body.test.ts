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
    arrives: () => undefined,
    arrived: () => void seen.push('arrived'),
  };
};

test('a body is counted as it comes, then as what it may inflate to, then as what it did', async () => {
  const body = Buffer.alloc(50_000, 'ab');
  const sent = gzipSync(body);
  const account = createAccount();
  const pieces = [sent.subarray(0, 20), sent.subarray(20)];
  expect(await readBody(requestOf(pieces, {'content-encoding': 'GZIP'}), LIMITS, account)).toEqual(body);
  expect(account.seen).toEqual([20 + 512, sent.length + 512, 'arrived', sent.length * 9, 50_000]);
});

test.each([
  ['without a word of it', {}],
  ['called x-gzip', {'content-encoding': 'x-gzip'}],
  ['called identity', {'content-encoding': 'identity'}],
])('gzip is known by its first bytes, %s', async (_, headers) => {
  const body = Buffer.from('{"a":1}');
  expect(await readBody(requestOf([gzipSync(body)], headers), LIMITS, createAccount())).toEqual(body);
});

test('what is no gzip is taken as it is, although its headers say gzip', async () => {
  const body = Buffer.from('{"a":1}');
  expect(await readBody(requestOf([body], {'content-encoding': 'gzip'}), LIMITS, createAccount())).toEqual(body);
});

test('gzip that was garbled is refused, with what came', async () => {
  const sent = gzipSync(Buffer.alloc(5000, 'ab')).fill(0, 12, 20);
  await expect(readBody(requestOf([sent]), LIMITS, createAccount())).rejects.toMatchObject({
    code: 'bad-request',
    extra: {received: {bytes: sent.length, sha256: expect.stringMatching(/^[0-9a-f]{64}$/)}},
  });
});

test('who sends bytes one by one makes us hold bytes, not pieces', async () => {
  const pieces = Array.from({length: 10_000}, (_, n) => Buffer.from([n % 251]));
  const account = createAccount(20_600);
  expect(await readBody(requestOf(pieces), LIMITS, account)).toEqual(Buffer.concat(pieces));
});

test('a body for which there is no room is refused', async () => {
  const pieces = [Buffer.alloc(6_000), Buffer.alloc(6_000)];
  await expect(readBody(requestOf(pieces), LIMITS, createAccount(10_000))).rejects.toThrow('no room');
});
