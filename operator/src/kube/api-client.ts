import {type Agent, request, type Dispatcher} from 'undici';
import {requestAgent, SILENCE_MS, silenceError, urgentAgent, watchAgent} from './agents.ts';
import {pause, type Clock} from './clock.ts';
import {type Credentials, type CredentialSource} from './connection.ts';
import {ApiError, NotLeader, TooLong} from './errors.ts';
import {Turns} from './turns.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the server's root, `/apis/...`, already encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Default application/json. */
  readonly contentType?: string;
  readonly signal: AbortSignal;
  /** Default 30 s. */
  readonly timeoutMs?: number;
  /** For an answer that may be long: it is read while no other such one is, and what this leaves of it is the response's body. */
  readonly cut?: (body: unknown) => unknown;
  /** Of an answer that is cut; of more nothing is kept, and {@link TooLong} is thrown. */
  readonly mostBytes?: number | undefined;
}

export interface ApiResponse {
  readonly status: number;
  readonly body: unknown;
}

/** Answers milliseconds for which writing is still safe; 0 or less forbids it. */
type WriteGate = () => number;

export interface ApiClientOptions {
  readonly credentials: CredentialSource;
  readonly clock: Clock;
  readonly userAgent: string;
  readonly mayWriteForMs?: WriteGate;
  /** For one caller with a pace of its own and a deadline of seconds: a connection of its own, and a server that is busy is not asked again within a call. */
  readonly isUrgent?: boolean;
  /** Told of every finished request: verb, HTTP status (0 without an answer). */
  readonly onRequest?: (method: string, status: number, durationMs: number) => void;
}

/** How often the credentials' files are read again. kubelet replaces a token at 80 % of its hour: a minute is early enough. */
const REFRESH_MS = 60_000;
/** 429 and 503 are asked again this often inside one call; later attempts are the caller's business. */
const ATTEMPTS = 3;
/** A server may ask for minutes; a worker does not hold its turn for longer than this. */
const LONGEST_HOLD_MS = 10_000;
const TIMEOUT_MS = 30_000;

interface Session {
  readonly credentials: Credentials;
  readonly tlsText: string;
  readonly requests: Agent;
  readonly requestsSinceMs: number;
  readonly watches: Agent;
  readonly readAtMs: number;
}

/** Raw JSON over HTTP to one API server. */
export class ApiClient {
  readonly #options: ApiClientOptions;
  #session: Session | undefined;
  #renewal: Promise<Session> | undefined;
  /** Of long answers. */
  readonly #turns: Turns;

  constructor(options: ApiClientOptions) {
    this.#options = options;
    this.#turns = new Turns(options.clock);
  }

  /** Sends one request and reads its JSON. Throws {@link ApiError} for an answer >= 400 and {@link NotLeader} for a forbidden write. */
  async send(call: ApiRequest): Promise<ApiResponse> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#sendOnce(call, attempt > 1);
      } catch (error) {
        if (!(error instanceof ApiError) || attempt >= ATTEMPTS || call.signal.aborted) throw error;
        if (error.status === 401 && attempt === 1) continue;
        if (this.#options.isUrgent === true) throw error;
        const waitMs = error.retryAfterMs;
        if (![429, 503].includes(error.status) || waitMs === undefined || waitMs > LONGEST_HOLD_MS) throw error;
        await pause(this.#options.clock, waitMs, call.signal);
        call.signal.throwIfAborted();
      }
    }
  }

  /** Opens a stream (watch). The caller reads and ends it; the signal aborts it. Throws {@link ApiError} for an answer >= 400. */
  async stream(call: Pick<ApiRequest, 'path' | 'query' | 'signal'>): Promise<Dispatcher.ResponseData['body']> {
    const session = await this.#current(false);
    const response = await this.#dispatch(session, session.watches, {...call, method: 'GET'}, call.signal);
    if (response.statusCode >= 400) {
      if (response.statusCode === 401) await this.#current(true);
      throw await toApiError(response, `GET ${call.path}`);
    }
    // It may end before the caller reads it, who is told so then.
    response.body.on('error', () => undefined);
    return response.body;
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await Promise.all([session?.requests.destroy(), session?.watches.destroy()]);
  }

  async #sendOnce(call: ApiRequest, again: boolean): Promise<ApiResponse> {
    const session = await this.#current(again);
    const bound = this.#bound(call);
    const startedMs = this.#options.clock.monotonicMs();
    let status = 0;
    try {
      const response = await this.#dispatch(session, session.requests, call, bound.signal);
      status = response.statusCode;
      if (status >= 400) throw await toApiError(response, `${call.method} ${call.path}`);
      return {status, body: await this.#read(response.body, call)};
    } finally {
      bound.cancel();
      this.#options.onRequest?.(call.method, status, this.#options.clock.monotonicMs() - startedMs);
    }
  }

  /** Only reading waits for others: until then an answer is on its connection, and a server that does not answer holds nobody up. */
  #read(body: Dispatcher.ResponseData['body'], {path, cut, mostBytes = Infinity}: ApiRequest): Promise<unknown> {
    if (cut === undefined) return body.json();
    // Should it end before its turn, reading it tells so.
    body.on('error', () => undefined);
    return this.#turns.take(async () => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > mostBytes) throw new TooLong(`GET ${path}: more than ${mostBytes} bytes`);
        chunks.push(chunk);
      }
      return cut(JSON.parse(Buffer.concat(chunks).toString()));
    });
  }

  /**
   * Ends a request with its caller, after its time, and a write also when this process may not write any more. A lease is good for a few seconds, and an
   * admission webhook may take all of ten: while it is renewed, the write goes on.
   */
  #bound({method, path, signal, timeoutMs = TIMEOUT_MS}: ApiRequest): {signal: AbortSignal; cancel: () => void} {
    const {clock, mayWriteForMs} = this.#options;
    const leftMs = (): number => (method === 'GET' ? Infinity : (mayWriteForMs?.() ?? Infinity));
    if (leftMs() <= 0) throw new NotLeader(`${method} ${path} was not sent: the lease was not renewed in time`);
    const endsMs = clock.monotonicMs() + timeoutMs;
    const own = new AbortController();
    let cancel = (): void => undefined;
    const look = (): void => {
      const untilEndMs = endsMs - clock.monotonicMs();
      const untilLeaseMs = leftMs();
      if (untilEndMs <= 0) own.abort(new Error(`${method} ${path}: no answer in ${timeoutMs / 1000} s`));
      else if (untilLeaseMs <= 0)
        own.abort(new NotLeader(`${method} ${path} was ended: the lease was not renewed in time`));
      else cancel = clock.schedule(Math.ceil(Math.min(untilEndMs, untilLeaseMs)), look);
    };
    look();
    return {signal: AbortSignal.any([signal, own.signal]), cancel: () => cancel()};
  }

  #dispatch(
    session: Session,
    dispatcher: Agent,
    call: Pick<ApiRequest, 'method' | 'path' | 'query' | 'body' | 'contentType'>,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const query = new URLSearchParams(call.query).toString();
    return request(`${session.credentials.server}${call.path}${query === '' ? '' : `?${query}`}`, {
      dispatcher,
      method: call.method,
      signal,
      headers: {
        accept: 'application/json',
        'user-agent': this.#options.userAgent,
        ...(call.body === undefined ? {} : {'content-type': call.contentType ?? 'application/json'}),
        ...session.credentials.headers,
      },
      ...(call.body === undefined ? {} : {body: JSON.stringify(call.body)}),
    });
  }

  async #current(force: boolean): Promise<Session> {
    const session = this.#session;
    const fresh = session !== undefined && this.#options.clock.monotonicMs() - session.readAtMs < REFRESH_MS;
    if (fresh && !force) return session;
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = undefined;
    });
    try {
      return await this.#renewal;
    } catch (error) {
      // What we have may still be good: the server is the judge of that, and its 401 makes us read again.
      if (this.#session !== undefined && !force) return this.#session;
      throw error;
    }
  }

  async #renew(): Promise<Session> {
    const credentials = await this.#options.credentials();
    // Not before the wait, during which it may have been given other connections.
    const old = this.#session;
    const tlsText = JSON.stringify([credentials.server, credentials.tls]);
    const readAtMs = this.#options.clock.monotonicMs();
    if (old?.tlsText === tlsText) {
      this.#session = {...old, credentials, readAtMs};
      return this.#session;
    }
    const requests = this.#options.isUrgent === true ? urgentAgent(credentials) : requestAgent(credentials);
    const watches = watchAgent(credentials, () => {
      if (this.#session?.watches === watches) this.#reconnect(this.#session);
    });
    this.#session = {credentials, tlsText, readAtMs, requests, requestsSinceMs: readAtMs, watches};
    // Requests that are under way finish on the old connections; watches end by themselves within ten minutes.
    void old?.requests.close();
    void old?.watches.close();
    return this.#session;
  }

  /** A watch's connection was found dead. Those of requests are as old, and would be found out by one request after the other. */
  #reconnect(session: Session): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - session.requestsSinceMs < SILENCE_MS) return;
    this.#session = {...session, requests: requestAgent(session.credentials), requestsSinceMs: nowMs};
    void session.requests.destroy(silenceError());
  }
}

interface StatusBody {
  readonly message?: string;
  readonly reason?: string;
  readonly details?: {readonly causes?: readonly {readonly field?: string; readonly message?: string}[]};
}

const toApiError = async (response: Dispatcher.ResponseData, what: string): Promise<ApiError> => {
  const text = await response.body.text().catch(() => '');
  const body = parseStatus(text);
  const header = response.headers['retry-after'];
  const seconds = typeof header === 'string' ? Number(header) : Number.NaN;
  const said = body.message ?? text.slice(0, 300);
  return new ApiError(`${what}: ${response.statusCode} ${said}`, {
    said,
    status: response.statusCode,
    reason: body.reason ?? '',
    causes: (body.details?.causes ?? []).map(({field, message}) => ({field: field ?? '', message: message ?? ''})),
    ...(Number.isFinite(seconds) ? {retryAfterMs: seconds * 1000} : {}),
  });
};

const parseStatus = (text: string): StatusBody => {
  try {
    const parsed: unknown = JSON.parse(text);
    // A proxy may answer with anything; every field of StatusBody is optional and only put into messages.
    return typeof parsed === 'object' && parsed !== null ? parsed : {};
  } catch {
    return {};
  }
};
