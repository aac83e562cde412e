/**
 * Rows whose size a device decides are read up to a number of bytes, in the text that the database writes: whoever reads a page holds all of it, and
 * parsed it may be ten times as large. The first row is always read.
 */
export const PAGE_BYTES = 2 * 1024 * 1024;

/**
 * What a page is cut by, over its rows and one more, in a window `page` that has their order: each row's `place`, the `bytes` up to and with it,
 * and how many were `found`. @param size SQL that says how many bytes a row has
 */
export const pageColumns = (size: string): string =>
  `row_number() over page as place, coalesce(sum(${size}) over page, 0) as bytes, count(*) over () as found`;
