import pg from 'pg';

/** Type oids of PostgreSQL's catalogue (pg_type.dat) whose text form we read differently from node-postgres. */
const INT8 = 20;
const DATE = 1082;

const safeInteger = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`the bigint ${text} does not fit a JavaScript number`);
  return value;
};

/**
 * bigint becomes a number (keys and counters stay far below 2^53; anything else throws) and date stays `YYYY-MM-DD`,
 * because a day has no time zone to convert it with.
 */
export const PG_TYPES: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') => {
    if (format !== 'binary' && oid === INT8) return safeInteger;
    if (format !== 'binary' && oid === DATE) return (text: string) => text;
    return format === 'binary' ? pg.types.getTypeParser(oid, 'binary') : pg.types.getTypeParser(oid, 'text');
    // The declared type is an overload set that a single arrow function cannot spell.
  }) as typeof pg.types.getTypeParser,
};
