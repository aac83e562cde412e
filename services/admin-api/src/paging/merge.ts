/**
 * A list over all shards, in one order, page by page. Each shard is asked for its rows after its own position, so a shard
 * that did not answer keeps its place: what it has is shown once it answers again, never skipped.
 */

/** The place after which each shard is read on; a shard that is absent starts at the beginning. */
export type Positions<Place> = ReadonlyMap<number, Place>;

export interface ShardPage<Row, Place> {
  readonly shard: number;
  /** In order, at most `limit + 1`. */
  readonly rows: readonly Row[];
  /** How far the shard was looked at, where it has more although these are fewer than asked for. */
  readonly end?: Place | undefined;
}

export interface MergedPage<Row, Place> {
  readonly rows: readonly (Row & {readonly shard: number})[];
  readonly hasNextPage: boolean;
  /** Where to read on; also meaningful without a next page when a shard did not answer. */
  readonly positions: Positions<Place>;
}

export interface Merge<Row, Place> {
  readonly placeOf: (row: Row) => Place;
  readonly compare: (a: Place, b: Place) => number;
  readonly limit: number;
  readonly before: Positions<Place>;
}

/**
 * The first `limit` rows of all pages together, up to where the first shard was looked at: of it nothing is known behind that. All rows up to the last place are taken from every shard that answered, so
 * that is the new position of all of them.
 */
export const mergePages = <Row, Place>(
  pages: readonly ShardPage<Row, Place>[],
  {placeOf, compare, limit, before}: Merge<Row, Place>,
): MergedPage<Row, Place> => {
  const end = pages.flatMap((page) => page.end ?? []).toSorted(compare)[0];
  const all = pages
    .flatMap(({shard, rows}) => rows.map((row) => ({place: placeOf(row), row: {...row, shard}})))
    .filter(({place}) => end === undefined || compare(place, end) <= 0)
    .sort((a, b) => compare(a.place, b.place));
  const taken = all.slice(0, limit);
  const last = all.length > taken.length || end === undefined ? taken.at(-1)?.place : end;
  const positions = new Map(before);
  if (last !== undefined) {
    for (const {shard} of pages) {
      const own = positions.get(shard);
      // A shard that was away is behind the others: the merge must not move the others back to where it is now.
      if (own === undefined || compare(own, last) < 0) positions.set(shard, last);
    }
  }
  return {
    rows: taken.map(({row}) => row),
    hasNextPage: all.length > taken.length || end !== undefined,
    positions,
  };
};
