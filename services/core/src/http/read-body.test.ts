import type {IncomingHttpHeaders, IncomingMessage} from 'node:http';
import {randomBytes} from 'node:crypto';
import {PassThrough, Readable} from 'node:stream';
import {gzipSync} from 'node:zlib';
import {afterEach, beforeEach, describe, expect, jest, test} from '@jest/globals';
import {AppError} from '../errors/app-error.ts';
import {checkBodyHeaders, readBody} from './read-body.ts';

const LIMITS = {maxBytes: 100_000, maxInflatedBytes: 200_000};

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

test('one that is inflated beside others is counted as the largest that it may become', async () => {
  const sent = gzipSync(randomBytes(20_000));
  const account = createAccount();
  await readBody(requestOf([sent]), LIMITS, account);
  expect(account.seen.slice(-2)).toEqual([sent.length + LIMITS.maxInflatedBytes, 20_000]);
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

describe('of a slow line', () => {
  beforeEach(() => {
    jest.useFakeTimers({doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate']});
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  /** `kib` KiB a second, of which `seconds` come. */
  const send = async (kib: number, seconds: number, isWhole: boolean) => {
    const stream = new PassThrough();
    // Of a request, readBody uses the stream and its headers.
    const request = Object.assign(stream, {headers: {}}) as unknown as IncomingMessage;
    const outcome = readBody(request, LIMITS, createAccount()).then(
      ({length}) => length,
      (error: unknown) => (error instanceof AppError ? error.code : error),
    );
    for (let second = 0; second < seconds; second++) {
      stream.write(Buffer.alloc(kib * 1024));
      await jest.advanceTimersByTimeAsync(1_000);
    }
    if (isWhole) stream.end();
    else await jest.advanceTimersByTimeAsync(200_000);
    return outcome;
  };

  test('60 KiB at 4 KiB a second are read', async () => {
    expect(await send(4, 15, true)).toBe(60 * 1024);
  });

  test.each([
    ['that stops', 4, 15],
    ['that brings next to nothing', 0.5, 60],
    ['on which nothing comes', 0, 1],
  ])('a body %s is a time-out', async (_how, kib, seconds) => {
    expect(await send(kib, seconds, false)).toBe('request-timeout');
  });
});

describe('a content coding', () => {
  const check = (headers: IncomingHttpHeaders): void => checkBodyHeaders(requestOf([], headers), LIMITS);

  test.each(['gzip', 'GZIP', 'x-gzip', 'X-GZip', ' gzip ', 'identity, gzip', ',gzip,', 'identity', '', 'Identity'])(
    '%j is taken',
    async (coding) => {
      const isGzip = /gzip/i.test(coding);
      const sent = isGzip ? gzipSync(Buffer.from('{}')) : Buffer.from('{}');
      const body = await readBody(requestOf([sent], {'content-encoding': coding}), LIMITS, createAccount());
      expect(body.toString()).toBe('{}');
    },
  );

  test.each(['br', 'deflate', 'gzip, gzip', 'gzip;q=1', 'gz ip', 'gzip2'])('%j is not, and gzip is named', (coding) => {
    expect(() => check({'content-encoding': coding})).toThrow(
      expect.objectContaining({code: 'unsupported-media-type', headers: {'Accept-Encoding': 'gzip'}}),
    );
  });
});
