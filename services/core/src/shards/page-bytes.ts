/**
 * Rows whose size a device decides are read up to a number of bytes, in the text that the database writes: whoever reads a page holds all of it, and
 * parsed it may be ten times as large. The first row is always read.
 */
export const PAGE_BYTES = 2 * 1024 * 1024;

export interface CutRows {
  /** SQL of the rows, one more than the page may have. */
  readonly rows: string;
  /** Columns that devices fill. */
  readonly wide: readonly string[];
  readonly order: string;
  /** SQL of how many rows a page has. */
  readonly limit: string;
  /** SQL of how many bytes a page has. */
  readonly bytes: string;
}

/**
 * SQL of the rows of one page, and of how many there were to choose from (`found`). To measure text the database has to fetch and unpack it, so what is
 * stored is added up first, which it knows without: rows behind a page's bytes of that are left as they are, however many and large they be.
 */
export const cutRows = ({rows, wide, order, limit, bytes}: CutRows): string => {
  const sum = (size: (column: string) => string): string =>
    wide.map((column) => `coalesce(${size(column)}, 0)`).join(' + ');
  const stored = sum((column) => `pg_column_size(${column})`);
  const text = sum((column) => `octet_length(${column}::text)`);
  const page = `window page as (order by ${order} rows unbounded preceding)`;
  return `select * from (
      select *, row_number() over page as place, sum(${text}) over page as bytes from (
        select * from (
          select *, count(*) over () as found, sum(${stored}) over page - (${stored}) as stored_before from (${rows}) one ${page}
        ) measured where stored_before <= ${bytes}
      ) near ${page}
    ) cut where place = 1 or place <= ${limit} and bytes <= ${bytes}`;
};
