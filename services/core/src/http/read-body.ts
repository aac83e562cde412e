import type {IncomingMessage} from 'node:http';
import {promisify} from 'node:util';
import {gunzip, gunzipSync} from 'node:zlib';
import {AppError} from '../errors/app-error.ts';

export interface BodyLimits {
  /** As sent. */
  readonly maxBytes: number;
  /** After inflating. */
  readonly maxInflatedBytes: number;
  /** For the whole body to arrive. */
  readonly timeoutMs: number;
}

const gunzipAsync = promisify(gunzip);

/** Below it, handing the work to another thread costs more than doing it; the output is bounded either way. */
const SYNC_GUNZIP_BYTES = 16 * 1024;

const tooLarge = ({maxBytes, maxInflatedBytes}: BodyLimits, cause?: unknown): AppError =>
  new AppError(
    'payload-too-large',
    `the body is too large: at most ${maxBytes} bytes as sent and ${maxInflatedBytes} bytes after inflating`,
    {cause, extra: {maxBytes, maxInflatedBytes}},
  );

/** Refuses by the headers alone what would be refused later, before a byte of the body is read. */
export const checkBodyHeaders = (request: IncomingMessage, limits: BodyLimits): void => {
  const length = request.headers['content-length'];
  if (length !== undefined && Number(length) > limits.maxBytes) throw tooLarge(limits);
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'gzip' && encoding !== 'identity') {
    throw new AppError('unsupported-media-type', 'Content-Encoding must be gzip or absent');
  }
};

/**
 * The inflated body. Memory is bounded by the limits, whatever the body inflates to: inflating stops there.
 * @throws AppError `payload-too-large`, `unsupported-media-type`, `bad-request`, `request-timeout`.
 */
export const readBody = async (request: IncomingMessage, limits: BodyLimits): Promise<Buffer> => {
  checkBodyHeaders(request, limits);
  const raw = await collect(request, limits);
  if (request.headers['content-encoding'] !== 'gzip') {
    if (raw.length > limits.maxInflatedBytes) throw tooLarge(limits);
    return raw;
  }
  const options = {maxOutputLength: limits.maxInflatedBytes};
  try {
    return raw.length <= SYNC_GUNZIP_BYTES ? gunzipSync(raw, options) : await gunzipAsync(raw, options);
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
      throw tooLarge(limits, error);
    throw new AppError('bad-request', 'the body is not the gzip that its Content-Encoding says', {cause: error});
  }
};

const collect = (request: IncomingMessage, limits: BodyLimits): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const finish = (outcome: () => void): void => {
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken);
      outcome();
    };
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes <= limits.maxBytes) {
        chunks.push(chunk);
        return;
      }
      finish(() => reject(tooLarge(limits)));
      // What still comes is thrown away, so that the peer gets to read the answer.
      request.resume();
    };
    const onEnd = (): void => {
      const [first] = chunks;
      finish(() => resolve(first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks)));
    };
    const onBroken = (): void => {
      finish(() => reject(new AppError('bad-request', 'the connection ended within the body')));
    };
    const timer = setTimeout(() => {
      finish(() => reject(new AppError('request-timeout', `the body did not arrive within ${limits.timeoutMs} ms`)));
      request.resume();
    }, limits.timeoutMs);
    request.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken);
  });
