import type {IncomingMessage} from 'node:http';
import {promisify} from 'node:util';
import {gunzip, gunzipSync} from 'node:zlib';
import {AppError} from '../errors/app-error.ts';
import {receivedOf} from './received.ts';

export interface BodyLimits {
  /** As sent. */
  readonly maxBytes: number;
  /** After inflating. */
  readonly maxInflatedBytes: number;
}

/**
 * A body may take so long, and a second more for every {@link SLOWEST_BYTES_A_SECOND} that have come: one that crawls comes to an end, and one that has
 * stopped is noticed.
 */
const PATIENCE_MS = 10_000;
/** A fifth of what EDGE at the end of its cell brings. */
const SLOWEST_BYTES_A_SECOND = 1024;

/** How long a body of so many bytes may take, of a request or of an answer. */
export const longestBodyMs = (bytes: number): number => PATIENCE_MS + (bytes / SLOWEST_BYTES_A_SECOND) * 1000;

/** Is told what a body takes while it comes; what it throws refuses the body. */
export interface BodyAccount {
  /** It begins to come, and may be refused from outside until all of it has. */
  arrives(refuse: (reason: AppError) => void): void;
  /** The memory that the body takes as of now: what has come of it, what it is expected to inflate to, and in the end what it did inflate to. */
  holds(bytes: number): void;
  /** All of it has come; what follows is work. */
  arrived(): void;
}

const gunzipAsync = promisify(gunzip);

/** How much a batch usually inflates by. */
const GZIP_RATIO = 8;

/** What node keeps for a piece of a body besides its bytes. Measured: 210 of heap, the rest is malloc's. */
const CHUNK_OVERHEAD_BYTES = 512;

/** Below it, handing the work to another thread costs more than doing it; the output is bounded either way. */
const SYNC_GUNZIP_BYTES = 16 * 1024;

const tooLarge = ({maxBytes, maxInflatedBytes}: BodyLimits, cause?: unknown): AppError =>
  new AppError(
    'payload-too-large',
    `the body is too large: at most ${maxBytes} bytes as sent and ${maxInflatedBytes} bytes after inflating`,
    {cause, extra: {maxBytes, maxInflatedBytes}},
  );

/**
 * Whether a body may come under these names (RFC 9110, 8.4): without case, with empty places, and `identity`, which nobody should send, is none. `x-gzip` is an
 * old name of gzip.
 */
const isKnown = (request: IncomingMessage): boolean => {
  const codings = (request.headers['content-encoding'] ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '' && name !== 'identity');
  return codings.length === 0 || (codings.length === 1 && (codings[0] === 'gzip' || codings[0] === 'x-gzip'));
};

/**
 * Whether a body is gzip, by its first bytes (RFC 1952, 2.3.1), with which no JSON begins. What its headers say may have been taken away on its way, or
 * left there by a proxy that inflated it.
 */
const isGzip = (raw: Buffer): boolean => raw[0] === 0x1f && raw[1] === 0x8b;

/** Refuses by the headers alone what would be refused later, before a byte of the body is read. */
export const checkBodyHeaders = (request: IncomingMessage, limits: BodyLimits): void => {
  const length = request.headers['content-length'];
  if (length !== undefined && Number(length) > limits.maxBytes) throw tooLarge(limits);
  if (isKnown(request)) return;
  // With what would be taken (15.5.16).
  throw new AppError('unsupported-media-type', 'Content-Encoding must be gzip, once, or absent', {
    headers: {'Accept-Encoding': 'gzip'},
  });
};

/**
 * The inflated body. Memory is bounded by the limits, whatever the body inflates to: inflating stops there.
 * @throws AppError `payload-too-large`, `unsupported-media-type`, `bad-request`, `request-timeout`, or what `account` threw.
 */
export const readBody = async (request: IncomingMessage, limits: BodyLimits, account: BodyAccount): Promise<Buffer> => {
  checkBodyHeaders(request, limits);
  const raw = await collect(request, limits, account);
  account.arrived();
  const inflated = isGzip(raw) ? await inflate(raw, limits, account) : raw;
  if (inflated.length > limits.maxInflatedBytes) throw tooLarge(limits);
  account.holds(inflated.length);
  return inflated;
};

const inflate = async (raw: Buffer, limits: BodyLimits, account: BodyAccount): Promise<Buffer> => {
  const options = {maxOutputLength: limits.maxInflatedBytes};
  const isAtOnce = raw.length <= SYNC_GUNZIP_BYTES;
  // Those that are inflated beside the loop may all have become as large as they can before the first of them is done.
  const expected = isAtOnce ? Math.min(raw.length * GZIP_RATIO, limits.maxInflatedBytes) : limits.maxInflatedBytes;
  account.holds(raw.length + expected);
  try {
    return isAtOnce ? gunzipSync(raw, options) : await gunzipAsync(raw, options);
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
      throw tooLarge(limits, error);
    throw new AppError('bad-request', 'the body begins as gzip does, and is none', {
      cause: error,
      extra: {received: receivedOf(raw)},
    });
  }
};

const collect = (request: IncomingMessage, limits: BodyLimits, account: BodyAccount): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let bytes = 0;
    const finish = (outcome: () => void): void => {
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken);
      outcome();
    };
    const refuse = (error: Error): void => {
      finish(() => reject(error));
      // What still comes is thrown away, so that the peer gets to read the answer.
      request.resume();
    };
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      try {
        if (bytes > limits.maxBytes) throw tooLarge(limits);
        chunks.push(chunk);
        // Whoever sends bytes one by one makes us keep bytes, not pieces.
        if (chunks.length > 1 && chunks.length * CHUNK_OVERHEAD_BYTES > bytes) chunks = [Buffer.concat(chunks)];
        account.holds(bytes + chunks.length * CHUNK_OVERHEAD_BYTES);
      } catch (error) {
        // An AppError, as readBody says.
        refuse(error as AppError);
      }
    };
    const onEnd = (): void => {
      const [first] = chunks;
      finish(() => resolve(first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks)));
    };
    const onBroken = (): void => {
      finish(() => reject(new AppError('bad-request', 'the connection ended within the body')));
    };
    const tooSlow = (): void => {
      const restMs = began + longestBodyMs(bytes) - performance.now();
      if (restMs > 0) timer = setTimeout(tooSlow, restMs);
      else {
        const message = `${bytes} bytes of the body came in ${Math.round(performance.now() - began)} ms; send less at once`;
        refuse(new AppError('request-timeout', message));
      }
    };
    const began = performance.now();
    let timer = setTimeout(tooSlow, PATIENCE_MS);
    account.arrives(refuse);
    request.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken);
  });
