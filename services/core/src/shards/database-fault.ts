import {AppError} from '../errors/app-error.ts';

/**
 * Whose fault a failed query is. `systemic`: the server's or the way to it; the same query may succeed later and nothing
 * is wrong with its values. `permanent`: these values can never be stored. `unknown`: anything else.
 */
export type DatabaseFault = 'systemic' | 'missing-partition' | 'permanent' | 'unknown';

/**
 * SQLSTATE classes (https://www.postgresql.org/docs/current/errcodes-appendix.html) that say nothing about the values:
 * 08 connection, 25 transaction state, 26 a prepared statement that the server forgot, 28 authorization (a password that is being rotated), 3D no such database,
 * 40 serialization and deadlock, 42 schema older than the code, 53 out of resources, 55 lock not available,
 * 57 shutdown and cancel, 58 system error, XX internal error.
 */
const SYSTEMIC_CLASSES = new Set(['08', '25', '26', '28', '3D', '40', '42', '53', '55', '57', '58', 'XX']);
/** 22 a value that its type cannot hold, 23 a constraint, 54 a limit of the program (a document too deep or too large). */
const PERMANENT_CLASSES = new Set(['22', '23', '54']);
/** Nothing that is written may be there already, so a key that is there is a mistake of ours and no fault of a batch: it is not thrown away for it. */
const UNIQUE_VIOLATION = '23505';
/** "no partition of relation found for row" is reported as a check violation without a constraint's name. Its text is in the server's language. */
const CHECK_VIOLATION = '23514';

const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

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

export const databaseFault = (error: unknown): DatabaseFault => {
  // Not `instanceof Error`: in a test runner the errors of node's own modules are instances of another Error.
  if (typeof error !== 'object' || error === null) return 'unknown';
  // Ours: the topology does not list it yet, or its credentials are not mounted yet.
  if (error instanceof AppError) return error.code === 'shard-unavailable' ? 'systemic' : 'unknown';
  const message = textOf(error, 'message') ?? '';
  if (error instanceof AggregateError) {
    return error.errors.length > 0 && error.errors.every((one) => databaseFault(one) === 'systemic')
      ? 'systemic'
      : 'unknown';
  }
  const code = textOf(error, 'code');
  if (code !== undefined && SOCKET_CODES.has(code)) return 'systemic';
  if (code === CHECK_VIOLATION && textOf(error, 'constraint') === undefined) return 'missing-partition';
  if (code === UNIQUE_VIOLATION) return 'unknown';
  if (code?.length === 5) {
    if (SYSTEMIC_CLASSES.has(code.slice(0, 2))) return 'systemic';
    if (PERMANENT_CLASSES.has(code.slice(0, 2))) return 'permanent';
    return 'unknown';
  }
  return LOST_CONNECTION.test(message) ? 'systemic' : 'unknown';
};

/** Whether a connection that had been there ended: another one may be had at once. Says nothing on whether the server did what it was asked. */
export const isLostConnection = (error: unknown): boolean => {
  if (typeof error !== 'object' || error === null) return false;
  const code = textOf(error, 'code');
  return code === undefined ? ENDED_CONNECTION.test(textOf(error, 'message') ?? '') : ENDED_SESSIONS.has(code);
};

export const isSystemicDatabaseFault = (error: unknown): boolean => databaseFault(error) === 'systemic';
