/**
 * A list over all shards, in the order of one key, page by page. Each shard is asked for its rows after its own position, so a shard
 * that did not answer keeps its place: what it has is shown once it answers again, never skipped.
 */

/** Key after which each shard is read on; a shard that is absent starts at the beginning. */
export type Positions = ReadonlyMap<number, string>;

export interface ShardPage<Row> {
  readonly shard: number;
  /** In ascending order of the key, at most `limit + 1`. */
  readonly rows: readonly Row[];
  /** Whether the shard has more than these, although they are fewer than asked for. Then there is at least one. */
  readonly isCut: boolean;
}

export interface MergedPage<Row> {
  readonly rows: readonly (Row & {readonly shard: number})[];
  readonly hasNextPage: boolean;
  /** Where to read on; also meaningful without a next page when a shard did not answer. */
  readonly positions: Positions;
}

/**
 * The first `limit` rows of all pages together, up to where the first page is cut: of its shard nothing is known behind that. All rows up to the last one taken are taken from every shard that answered, so
 * that key is the new position of all of them.
 */
export const mergePages = <Row>(
  pages: readonly ShardPage<Row>[],
  keyOf: (row: Row) => string,
  limit: number,
  before: Positions,
): MergedPage<Row> => {
  const ends = pages.flatMap(({rows, isCut}) => (isCut ? rows.slice(-1).map(keyOf) : []));
  const all = pages
    .flatMap(({shard, rows}) => rows.map((row) => ({key: keyOf(row), row: {...row, shard}})))
    .filter(({key}) => ends.every((end) => key <= end))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const taken = all.slice(0, limit);
  const last = taken.at(-1)?.key;
  const positions = new Map(before);
  if (last !== undefined) {
    for (const {shard} of pages) {
      const own = positions.get(shard);
      // A shard that was away is behind the others: the merge must not move the others back to where it is now.
      if (own === undefined || own < last) positions.set(shard, last);
    }
  }
  return {rows: taken.map(({row}) => row), hasNextPage: all.length > taken.length || ends.length > 0, positions};
};
