import type {z} from 'zod';
import type {Principal} from '../sessions/principal.ts';
import type {Access} from '../sessions/roles.ts';

/**
 * One operation of the API, written once: the router serves it and the OpenAPI document describes it from the same value.
 */
export interface RouteDefinition<
  P extends z.ZodObject = z.ZodObject,
  Q extends z.ZodObject = z.ZodObject,
  B extends z.ZodType = z.ZodType,
  S extends z.ZodType = z.ZodType,
  A extends Access = Access,
> {
  readonly method: 'get' | 'post' | 'patch' | 'delete';
  /** OpenAPI's way: `/api/v1/devices/{id}`. */
  readonly path: `/api/v1/${string}`;
  /** Unique; client generators make function names of it. */
  readonly operationId: string;
  readonly summary: string;
  /** Who may call it. */
  readonly access: A;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** Whether it makes something for good, so that a call may say by `Idempotency-Key` that it is the same one again. */
  readonly creates?: true;
  readonly success: {
    readonly status: 200 | 201 | 202 | 204;
    readonly description: string;
    readonly schema?: S;
    /** Media types of an answer that is sent as it is made. */
    readonly streams?: readonly string[];
  };
  /** Whether it changes what the caller has seen, and a call has to say by `If-Match` which revisions that may be. */
  readonly conditional?: true;
  /** What of an answer has to stay the same for its ETag to do so. Where a `get` has this, `If-None-Match` is honoured. */
  tagged?(body: z.input<S>): unknown;
  /** With it the ETag begins; by it a conditional operation knows what the caller has seen. */
  revision?(body: z.input<S>): number;
  /** Whether it answers the same to everybody for as long as the process runs. It has an ETag then too. */
  readonly constant?: true;
  /** Statuses beside those that every operation may have. */
  readonly problems?: Readonly<Record<number, string>>;
}

export interface Reached {
  /** True when the caller's connection is encrypted. */
  readonly secure: boolean;
  /** As the address says it; undefined where it says none. */
  readonly port: number | undefined;
}

/** What the audit says of a call beside who makes it. */
export interface Origin {
  /** As answer and log name the request. */
  readonly requestId: string | undefined;
  readonly address: string | undefined;
}

export interface Call<P, Q, B, Who> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly principal: Who;
  /** Where the caller reached the region. */
  readonly reached: Reached;
  readonly origin: Origin;
  /** Of this caller's call, the same whenever he repeats it; undefined where he gave none. */
  readonly callHash: Buffer | undefined;
  /** What a conditional call may be made to; undefined: anything. */
  readonly revisions: readonly number[] | undefined;
}

export interface Reply<S> {
  readonly body: S;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent instead of the body, piece by piece. */
  readonly stream?: AnswerStream;
}

export interface AnswerStream {
  readonly type: string;
  /** As a browser keeps it. */
  readonly fileName: string;
  /** Each is made when the one before is sent. One that throws cuts the answer; the first of them is still answered as an error. */
  readonly chunks: AsyncIterable<string>;
}

/** A route with its types erased: what the router and the document need. */
export interface Route {
  readonly definition: RouteDefinition;
  readonly handle: (call: Call<unknown, unknown, unknown, Principal | undefined>) => Promise<Reply<unknown>>;
}

/** Whom an operation knows. */
type CallerOf<A extends Access> = A extends 'anyone' ? undefined : Principal;

export const route = <
  P extends z.ZodObject,
  Q extends z.ZodObject,
  B extends z.ZodType,
  S extends z.ZodType,
  A extends Access,
>(
  definition: RouteDefinition<P, Q, B, S, A>,
  handle: (call: Call<z.output<P>, z.output<Q>, z.output<B>, CallerOf<A>>) => Promise<Reply<z.input<S>>>,
): Route => ({
  definition,
  // The router parses params, query and body with this definition's own schemas, and finds out who calls, before it calls.
  handle: (call) => handle(call as Call<z.output<P>, z.output<Q>, z.output<B>, CallerOf<A>>),
});
