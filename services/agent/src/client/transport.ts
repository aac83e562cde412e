/** HTTP to a region over undici, with deadlines for every phase. */
import {readFileSync} from 'node:fs';
import {createSecureContext, getCACertificates} from 'node:tls';
import {Agent, type Dispatcher} from 'undici';
import type {HttpReply} from './answer.ts';

export interface Call {
  readonly method: 'GET' | 'POST';
  /** The region's address, such as `https://eu.sync.example.com`. */
  readonly baseUrl: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

/** Never throws: what went wrong on the way is a `failed` reply. */
export type Transport = (call: Call) => Promise<HttpReply>;

export interface TransportOptions {
  /** Sockets kept to one region. */
  readonly connections: number;
  /** Host header, where the address is an ingress's and not the region's name. */
  readonly host: string | undefined;
  /**
   * For the connection to be made, to whichever address of the host; for the reply to begin, besides what the body takes; and again for it to end. A whole
   * call has no more than these together.
   */
  readonly timeoutMs: number;
  /** PEM file of the authority that signed the region's certificate, besides the system's own. */
  readonly caFile: string | undefined;
  /** TLS without verification. For a laboratory only. */
  readonly insecure: boolean;
  /** Ends the calls under way, as failed. The region may have taken what they carried, which sending it again does not harm. */
  readonly signal?: AbortSignal;
}

/**
 * Of a socket that waits for its next call: shorter than the 60 s and more of proxies, so that a reused one is rarely one that the other side is closing. It
 * is so also where the other side offers more.
 */
const IDLE_MS = 30_000;

/** The region lets a body take a second for each KiB. */
const SLOWEST_BYTES_A_MS = 1024 / 1000;

/**
 * A host may have some addresses that lead nowhere, so each but the last has this part of the time to connect. Node's own 250 ms (nodejs/node issue 54359) are
 * less than a slow line takes, and then each address is given up before it answers. A sixth of a minute is enough for a SYN that is lost three times.
 */
const ATTEMPTS = 6;

/** Answers are small; more than this is not the region speaking. */
const MAX_REPLY_BYTES = 1024 * 1024;

const codeOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  const {code} = error as {code?: unknown};
  if (typeof code === 'string') return code;
  return error.cause === undefined ? error.message : `${error.message}: ${codeOf(error.cause)}`;
};

const one = (header: string | string[] | undefined): string | undefined => (Array.isArray(header) ? header[0] : header);

/** undici's own limit is for the time between two parts, of which a reply that comes byte by byte has any number. */
const textWithin = async (body: Dispatcher.ResponseData['body'], ms: number): Promise<string> => {
  const late = setTimeout(() => body.destroy(new Error(`the reply did not end within ${ms} ms`)), ms);
  try {
    return await body.text();
  } finally {
    clearTimeout(late);
  }
};

/** Made once: each connection would parse them all again. */
const trusting = (caFile: string) => createSecureContext({ca: [...getCACertificates(), readFileSync(caFile)]});

/** A transport and the end of its sockets. */
export const createTransport = (
  options: TransportOptions,
  idleMs = IDLE_MS,
): {transport: Transport; close: () => Promise<void>} => {
  const agent: Dispatcher = new Agent({
    connections: options.connections,
    pipelining: 1,
    // A call that is given up in the middle of its body makes node's HTTP/2 frame nothing for ever, until the memory is used up.
    allowH2: false,
    bodyTimeout: options.timeoutMs,
    keepAliveTimeout: idleMs,
    keepAliveMaxTimeout: idleMs,
    maxResponseSize: MAX_REPLY_BYTES,
    connect: {
      // A slow line needs as long for the certificates of a handshake as for an answer.
      timeout: options.timeoutMs,
      autoSelectFamilyAttemptTimeout: Math.max(Math.round(options.timeoutMs / ATTEMPTS), 1),
      rejectUnauthorized: !options.insecure,
      ...(options.caFile === undefined ? {} : {secureContext: trusting(options.caFile)}),
      ...(options.host === undefined ? {} : {servername: options.host}),
    },
  });
  const host = options.host === undefined ? {} : {host: options.host};
  const transport: Transport = async (call) => {
    const {timeoutMs, signal} = options;
    const beginsWithinMs = timeoutMs + (call.body?.length ?? 0) / SLOWEST_BYTES_A_MS;
    // undici measures each phase, and begins anew with each interim reply (RFC 9110, 15.2), of which somebody may send any number.
    const end = new AbortController();
    const wholeMs = timeoutMs + beginsWithinMs + timeoutMs;
    const late = setTimeout(
      () => end.abort(new Error(`the call did not end within ${Math.round(wholeMs)} ms`)),
      wholeMs,
    );
    // AbortSignal.any() would leave a kilobyte at the signal of the process for each call.
    const stop = (): void => end.abort(signal?.reason);
    signal?.addEventListener('abort', stop);
    if (signal?.aborted === true) stop();
    try {
      const reply = await agent.request({
        origin: call.baseUrl,
        path: call.path,
        method: call.method,
        headers: {...call.headers, ...host},
        headersTimeout: beginsWithinMs,
        ...(call.body === undefined ? {} : {body: call.body}),
        signal: end.signal,
      });
      const body = await textWithin(reply.body, timeoutMs);
      return {kind: 'reply', status: reply.statusCode, retryAfter: one(reply.headers['retry-after']), body};
    } catch (error) {
      return {kind: 'failed', code: codeOf(error)};
    } finally {
      clearTimeout(late);
      signal?.removeEventListener('abort', stop);
    }
  };
  return {transport, close: () => agent.close()};
};
