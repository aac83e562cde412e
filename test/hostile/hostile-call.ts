import type {Random} from './random.ts';

/** One thing that a hostile client does with its connection. */
export type Step =
  | {readonly do: 'send'; readonly bytes: Buffer}
  /** The bytes again and again, until the connection ends or the client has had enough. */
  | {readonly do: 'repeat'; readonly bytes: Buffer; readonly everyMs: number}
  /** One byte after the other. */
  | {readonly do: 'drip'; readonly bytes: Buffer; readonly everyMs: number}
  /** Says that nothing more comes, and goes on reading. */
  | {readonly do: 'end'}
  | {readonly do: 'reset'}
  /** From here on nothing that comes is read. */
  | {readonly do: 'deafen'};

/** What a client does that means no good, or knows no better. */
export interface HostileCall {
  readonly kind: string;
  readonly steps: readonly Step[];
  readonly expects: Expectation;
}

interface Expectation {
  /** Whether a success may be right. */
  readonly mayPass: boolean;
  /** Whether it may be right to say nothing for as long as the client waits. */
  readonly mayBeSilent: boolean;
  /** More answers mean that what was hidden in a request was taken for one. */
  readonly mostAnswers: number;
  /** How long the client waits for an answer after its last step. */
  readonly patienceMs: number;
}

/** What came of a call: the statuses of its answers in their order, and how it ended. */
export interface Outcome {
  readonly statuses: readonly number[];
  readonly end: 'closed' | 'left';
}

/** As tables show it. */
export const nameOf = ({statuses, end}: Outcome): string => (statuses.length === 0 ? end : statuses.join('+'));

/** What is wrong with the outcome, or undefined. */
export const faultOf = (
  {mayPass, mayBeSilent, mostAnswers}: Expectation,
  {statuses, end}: Outcome,
): string | undefined => {
  if (statuses.some((status) => status >= 500)) return 'a fault of the server';
  if (statuses.length > mostAnswers) return `more than ${mostAnswers} answers`;
  if (!mayPass && statuses.some((status) => status < 400)) return 'a success';
  if (!mayBeSilent && statuses.length === 0 && end === 'left') return 'silence';
  return undefined;
};

/** An API, and what is known of it to those who are hostile. */
export interface Target {
  readonly host: string;
  /** A request that is right. */
  readonly get: (random: Random) => RightRequest;
  /** One with a body that is right, or would be without `json`, which stands somewhere in it. */
  readonly post: (random: Random, json?: string) => RightRequest & {readonly body: string};
  /** Most bytes of a body as sent, and once it is inflated. */
  readonly maxBytes: number;
  readonly maxInflatedBytes: number;
}

interface RightRequest {
  readonly path: string;
  /** Whole lines. */
  readonly headers: readonly string[];
}

export interface HostileKind {
  readonly name: string;
  readonly make: (random: Random, target: Target) => Omit<HostileCall, 'kind' | 'expects'> & Partial<HostileCall>;
  readonly expects?: Partial<Expectation>;
}

const USUAL: Expectation = {mayPass: false, mayBeSilent: false, mostAnswers: 1, patienceMs: 15_000};

export const callOf = (kind: HostileKind, random: Random, target: Target): HostileCall => ({
  kind: kind.name,
  expects: {...USUAL, ...kind.expects},
  ...kind.make(random, target),
});

export const send = (...parts: readonly (string | Buffer)[]): Step => ({
  do: 'send',
  bytes: Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part))),
});

/** Headers of a request to their end. `lines` come last. */
export const head = (
  method: string,
  {host}: Target,
  {path, headers}: RightRequest,
  lines: readonly string[] = [],
): string => [`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...headers, ...lines, '', ''].join('\r\n');

const CLOSE = 'Connection: close';

/** A whole request with this body, after which the client wants nothing more. */
export const post = (
  target: Target,
  request: RightRequest,
  body: string | Buffer,
  lines: readonly string[] = [],
): Step =>
  send(
    head('POST', target, request, [CLOSE, ...lines, `Content-Length: ${Buffer.byteLength(body)}`]),
    typeof body === 'string' ? Buffer.from(body) : body,
  );

export const get = (target: Target, request: RightRequest, lines: readonly string[] = []): Step =>
  send(head('GET', target, request, [CLOSE, ...lines]));
