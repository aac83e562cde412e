/**
 * Rows whose size a device decides are read up to a number of bytes, in the text that the database writes: whoever reads a page holds all of it, and
 * parsed a row may be forty times as large: `{"34": ` is an object with room for 35 members. So rows are parsed one after the other, when they are written into an
 * answer (JsonText). The first row is always read.
 */
export const PAGE_BYTES = 512 * 1024;

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
 * SQL of the rows of one page, and of how many there were to choose from (`found`). What is stored says little of the text: it may be packed, and a number of
 * twelve bytes has up to 309 digits. So rows are written out one after the other until the page is full. A count that only grows lets Postgres (15 and later) end
 * a window at its bound ("Run Condition"), so no row behind that is written out.
 */
export const cutRows = ({rows, wide, order, limit, bytes}: CutRows): string => {
  const text = wide.map((column) => `coalesce(octet_length(${column}::text), 0)`).join(' + ');
  const page = `window page as (order by ${order} rows unbounded preceding)`;
  return `select * from (
      select *, count(case when place > 1 and (place > ${limit} or bytes > ${bytes}) then 1 end) over page as behind from (
        select *, row_number() over page as place, sum(${text}) over page as bytes from (
          select *, count(*) over () as found from (${rows}) one
        ) counted ${page}
      ) written ${page}
    ) cut where behind < 1`;
};
