import {AppError, type ErrorCode} from '../errors/app-error.ts';

/** How much of a region a fault concerns. Whoever handles one keeps its harm within that. */
export type FaultScope = 'batch' | 'row' | 'slot' | 'shard' | 'broker';

/** What is the matter, and how far it reaches. */
const SCOPES = {
  /** These values can never be stored. */
  values: 'batch',
  /** A constraint forbids these values. One of an older schema may not know them yet. */
  constraint: 'batch',
  /** Anything else. */
  unknown: 'batch',
  /** Two transactions met: the same one may succeed at once. */
  collision: 'row',
  /** Somebody holds a lock for longer than we wait. */
  held: 'row',
  /** The server cannot read or write something on its disk. */
  damaged: 'row',
  /** A slot has no owner at the moment, or its shard is not ready for this process. */
  ownerless: 'slot',
  'missing-partition': 'shard',
  /** The server says that it cannot do its work now. */
  unable: 'shard',
  /** It says that of values without a bound too: whoever sends such asks whether it takes others. */
  limit: 'shard',
  /** Nothing was heard of the server. That may be due to one connection. */
  unheard: 'shard',
  broker: 'broker',
} as const satisfies Record<string, FaultScope>;

export type DatabaseFault = keyof typeof SCOPES;

export const scopeOf = (fault: DatabaseFault): FaultScope => SCOPES[fault];

/**
 * SQLSTATE classes (https://www.postgresql.org/docs/current/errcodes-appendix.html): 08 connection, 0A a prepared statement whose columns a migration has changed, 22 a value that its type cannot hold, 23 a constraint,
 * 25 transaction state, 26 a prepared statement that the server forgot, 28 authorization (a password that is being rotated), 3D no such database,
 * 40 serialization and deadlock, 42 schema older than the code, 53 out of resources, 54 a limit of the program (a document too deep),
 * 55 not in the state that is needed, 57 shutdown and cancel, 58 system error, XX internal error.
 */
const FAULT_OF_CLASS: ReadonlyMap<string, DatabaseFault> = new Map([
  ['08', 'unheard'],
  ['0A', 'unable'],
  ['22', 'values'],
  ['23', 'constraint'],
  ['25', 'unable'],
  ['26', 'unable'],
  ['28', 'unable'],
  ['3D', 'unable'],
  ['40', 'collision'],
  ['42', 'unable'],
  ['53', 'unable'],
  ['54', 'values'],
  ['55', 'unable'],
  ['57', 'unheard'],
  ['58', 'damaged'],
  ['XX', 'damaged'],
]);
const LOCK_NOT_AVAILABLE = '55P03';
/**
 * "program limit exceeded": a row or a document that is too large, and also a database that gives out no transaction ids any more, because too many are in use
 * (https://www.postgresql.org/docs/17/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND). Only the text tells them apart, which is in the server's language.
 */
const LIMIT_EXCEEDED = '54000';
/** Nothing that is written may be there already, so a key that is there is a mistake of ours and no fault of a batch: it is not thrown away for it. */
const UNIQUE_VIOLATION = '23505';
/** "no partition of relation found for row" is reported as a check violation without a constraint's name. Its text is in the server's language. */
const CHECK_VIOLATION = '23514';

/**
 * Of the system, when a connection is made or used. Which ones there are depends on the network: where a Service has no pod behind it, one refuses (ECONNREFUSED) and another
 * forbids (EPERM). No SQLSTATE looks like them, but node's own errors do (ERR_OUT_OF_RANGE): most of them say that a value is wrong.
 */
const SYSTEM_CODE = /^E(?!RR_)[A-Z_]{3,}$/;

/** Of node, about a connection that ended while it was used. */
const ENDED_STREAM =
  /^ERR_(STREAM_(DESTROYED|PREMATURE_CLOSE|WRITE_AFTER_END)|SOCKET_CLOSED|SOCKET_CONNECTION_TIMEOUT)$/;

/** What node-postgres says, without a code, when a connection is lost or cannot be had. */
const LOST_CONNECTION =
  /connection terminated|timeout exceeded|timeout expired|connection timeout|connection error|client has encountered|pool after calling end|query read timeout/i;

/** An administrator, or the server's own end, ends the session (57P01, 57P02). */
const ENDED_SESSIONS = new Set(['57P01', '57P02', 'ECONNRESET', 'EPIPE']);
/** Of node-postgres, whole: what it says of connections that cannot be had begins with the same words. */
const ENDED_CONNECTION = /^(Connection terminated( unexpectedly)?|Client has encountered a connection error.*)$/;

const textOf = (error: object, key: string): string | undefined => {
  const value: unknown = Reflect.get(error, key);
  return typeof value === 'string' ? value : undefined;
};

const FAULT_OF_APP_ERROR: Partial<Record<ErrorCode, DatabaseFault>> = {
  // The topology does not list it yet, its credentials are not mounted yet, or a slot is being moved.
  'shard-unavailable': 'ownerless',
  'broker-unavailable': 'broker',
  'broker-timeout': 'broker',
};

const faultOfCode = (code: string, error: object): DatabaseFault => {
  switch (code) {
    case CHECK_VIOLATION:
      return textOf(error, 'constraint') === undefined ? 'missing-partition' : 'constraint';
    case UNIQUE_VIOLATION:
      return 'unknown';
    case LOCK_NOT_AVAILABLE:
      return 'held';
    case LIMIT_EXCEEDED:
      return 'limit';
    default:
      return FAULT_OF_CLASS.get(code.slice(0, 2)) ?? 'unknown';
  }
};

/** The one place that says what a failure means; every caller goes by it. */
export const databaseFault = (error: unknown): DatabaseFault => {
  // Not `instanceof Error`: in a test runner the errors of node's own modules are instances of another Error.
  if (typeof error !== 'object' || error === null) return 'unknown';
  if (error instanceof AppError) return FAULT_OF_APP_ERROR[error.code] ?? 'unknown';
  if (error instanceof AggregateError) {
    const [first, ...others] = new Set(error.errors.map(databaseFault));
    return first !== undefined && others.length === 0 ? first : 'unknown';
  }
  const code = textOf(error, 'code');
  if (code !== undefined && (SYSTEM_CODE.test(code) || ENDED_STREAM.test(code))) return 'unheard';
  if (code?.length === 5) return faultOfCode(code, error);
  return LOST_CONNECTION.test(textOf(error, 'message') ?? '') ? 'unheard' : 'unknown';
};

/**
 * Whether the server understands a statement and does not do it: what it names is not there, is there already or is not allowed (class 42), or no server does it (0A). For a service
 * that is a schema of another release. For a migration, which is to make the schema, it is a mistake of its own.
 */
export const isStatementFault = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && /^(0A|42)[0-9A-Z]{3}$/.test(textOf(error, 'code') ?? '');

/** Whether a connection has prepared statements that no longer fit, which it never gets rid of (0A000), or lost them (class 26). */
export const isStaleConnection = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && /^(0A|26)/.test(textOf(error, 'code') ?? '');

/** Whether the server ended a statement for want of time, or because it was told to; its connection goes on. */
export const isStatementEnded = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && textOf(error, 'code') === '57014';

/** Whether a connection that had been there ended: another one may be had at once. Says nothing on whether the server did what it was asked. */
export const isLostConnection = (error: unknown): boolean => {
  if (typeof error !== 'object' || error === null) return false;
  const code = textOf(error, 'code');
  return code === undefined ? ENDED_CONNECTION.test(textOf(error, 'message') ?? '') : ENDED_SESSIONS.has(code);
};

/** Of pg-pool: none of its connections came free in time. Without room to try, nothing is said of the server. */
const FULL_POOL = 'timeout exceeded when trying to connect';

/** Whether all connections that this process may have were busy. */
export const isPoolFull = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && textOf(error, 'message') === FULL_POOL;

/** Whether the same query may succeed later, and nothing is wrong with its values. */
export const isSystemicDatabaseFault = (error: unknown): boolean => {
  const fault = databaseFault(error);
  return fault !== 'missing-partition' && fault !== 'broker' && scopeOf(fault) !== 'batch';
};

/** Whether a shard as a whole does not work, as far as one failure tells. */
export const isShardFault = (error: unknown): boolean =>
  isSystemicDatabaseFault(error) && scopeOf(databaseFault(error)) === 'shard';
