/**
 * Filters for start-up scripts. Passwords that the operator makes need none, but one in a restored or hand-made Secret may hold anything but a line
 * break.
 */

/** For a text between single quotes in SQL (with standard_conforming_strings, PostgreSQL's default). */
export const SQL_QUOTED = `sed "s/'/''/g"`;

/** For a text between double quotes in JSON or in Redis' configuration. */
export const DOUBLE_QUOTED = String.raw`sed 's/[\\"]/\\&/g'`;
