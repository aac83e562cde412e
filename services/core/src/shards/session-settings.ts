/**
 * What a session must be like for statements to mean what we wrote, whatever the server, the database or the role says: the text forms that answers
 * are parsed from and values are written in, which table a name means, what a transaction may see and do, and what a commit means.
 */
const SESSION_SETTINGS = {
  client_encoding: 'UTF8',
  datestyle: 'ISO,MDY',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
  transform_null_equals: 'off',
  array_nulls: 'on',
  search_path: 'public',
  // An error where a policy would hide rows: half an answer is a wrong one.
  row_security: 'off',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  // What is told to a device as applied is on disk.
  synchronous_commit: 'on',
  // What is bounded late looks dear when it is planned: to compile it would take longer than to run it.
  jit: 'off',
  // Pools and jobs end their own sessions and waits, later or never.
  idle_session_timeout: '0',
  // Pools say their own in the same message, and the later word counts; a migration may take as long as it takes.
  lock_timeout: '0',
  statement_timeout: '0',
} as const;

/** Spaces separate options; a backslash keeps one (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS). */
const escape = (value: string): string => value.replace(/[\\ ]/g, '\\$&');

/**
 * The startup parameter `options` of every connection to a shard. It travels with the sign-in, so it costs nothing, and it goes before what `alter role`,
 * `alter database` and postgresql.conf say.
 */
export const SESSION_OPTIONS: string = Object.entries(SESSION_SETTINGS)
  .map(([name, value]) => `-c ${name}=${escape(value)}`)
  .join(' ');
