import {type DeviceRef} from '../receipts/receipts.ts';
import {onOwners} from '../shards/on-owner.ts';
import {PAGE_TYPES} from '../shards/pg-types.ts';
import {type Shards} from '../shards/shards.ts';

/** A device, and where its page begins: before this place, or at the newest. */
export interface PageOf<Cursor> {
  readonly device: DeviceRef;
  readonly before?: Cursor | undefined;
}

/** Rows of devices, newest first, a page of each. */
export interface PagesQuery<Cursor> {
  readonly name: string;
  /** What is selected of `r`. */
  readonly columns: string;
  /** The parts of a cursor: name and type in SQL, and the value for a page that has none, beyond any other. */
  readonly cursor: readonly {
    readonly name: string;
    readonly type: 'int' | 'bigint' | 'float8' | 'uuid';
    readonly of: (before: Cursor) => number | string;
    readonly end: number | string;
  }[];
  /** SQL of one device's page; `n` has `device_key` and the cursor, `limit` is how many rows at most, `bytes` is `maxBytes`. */
  readonly rows: (limit: string, bytes: string) => string;
  /** Of each page, where its rows are bounded by that too. */
  readonly maxBytes?: number;
  readonly order: string;
}

/** Its slot as the statement looks for it. */
const inSlot = <Cursor>(page: PageOf<Cursor>) => ({...page, slot: page.device.slot});

/** One statement a shard, however many the devices. @returns the rows of each page, in the order of the pages */
export const listPages = <Row, Cursor>(
  shards: Shards,
  pages: readonly PageOf<Cursor>[],
  limit: number,
  {name, columns, cursor, rows, maxBytes, order}: PagesQuery<Cursor>,
): Promise<readonly (readonly Row[])[]> =>
  onOwners(shards, pages.map(inSlot), async (shardId, asked) => {
    const parameters = cursor.map(({type}, index) => `$${index + 3}::${type}[]`);
    const found = await shards
      .pool(shardId, 'dashboard')
      .query<Row & {readonly place: number; readonly is: true | null}>({
        name,
        types: PAGE_TYPES,
        text: `select n.place::int as place, r."is", ${columns}
             from unnest($1::smallint[], $2::bigint[], ${parameters.join(', ')}) with ordinality
               as n (slot, device_key, ${cursor.map((part) => part.name).join(', ')}, place)
             join slot_owner o on o.slot = n.slot and o.state = 'owned'
             left join lateral (select *, true as "is" from (${rows(`$${cursor.length + 3}::int`, `$${cursor.length + 4}::int`)}) page) r on true
             order by n.place, ${order}`,
        values: [
          asked.map(({slot}) => slot),
          asked.map(({device}) => device.deviceKey),
          ...cursor.map(({of, end}) => asked.map(({before}) => (before === undefined ? end : of(before)))),
          limit,
          ...(maxBytes === undefined ? [] : [maxBytes]),
        ],
      });
    // Where the slot is another shard's there is not even a row of nulls.
    const byPlace = Map.groupBy(found.rows, ({place}) => place);
    return asked.map((_, index) => {
      const ofPage = byPlace.get(index + 1);
      return ofPage === undefined
        ? {kind: 'moved' as const}
        : {kind: 'done' as const, value: ofPage.filter((row) => row.is !== null)};
    });
  });
