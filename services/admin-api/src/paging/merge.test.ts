import {describe, expect, test} from '@jest/globals';
import fc from 'fast-check';
import {mergePages, type Positions} from './merge.ts';

interface Row {
  readonly id: string;
}

const anId = fc.string({unit: fc.constantFrom('0', '1', 'a', 'f'), minLength: 1, maxLength: 6});

const readShard = (rows: readonly string[], after: string | undefined, limit: number): Row[] =>
  rows
    .filter((id) => after === undefined || id > after)
    .slice(0, limit + 1)
    .map((id) => ({id}));

describe('mergePages', () => {
  test('visits every row of every shard exactly once, in order, whatever the page size and wherever shards cut it', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anId, {maxLength: 60}),
        fc.integer({min: 1, max: 5}),
        fc.integer({min: 1, max: 20}),
        fc.integer({min: 1, max: 20}),
        (ids, shardCount, limit, most) => {
          const shards = Array.from({length: shardCount}, (_, shard) =>
            ids.filter((_id, index) => index % shardCount === shard).sort(),
          );
          const seen: string[] = [];
          let positions: Positions = new Map();
          for (let turn = 0; turn <= ids.length; turn++) {
            const pages = shards.map((ids, shard) => {
              const rows = readShard(ids, positions.get(shard), limit);
              return {shard, rows: rows.slice(0, most), isCut: rows.length > most};
            });
            const page = mergePages(pages, ({id}) => id, limit, positions);
            seen.push(...page.rows.map(({id}) => id));
            positions = page.positions;
            if (!page.hasNextPage) break;
          }
          expect(seen).toEqual([...ids].sort());
        },
      ),
    );
  });

  test('loses and repeats nothing when shards come and go between the pages', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anId, {maxLength: 40}),
        fc.array(fc.tuple(fc.boolean(), fc.boolean()), {maxLength: 20}),
        fc.integer({min: 1, max: 7}),
        (ids, outages, limit) => {
          const shards = [0, 1].map((shard) => ids.filter((_id, index) => index % 2 === shard).sort());
          const seen: string[] = [];
          let positions: Positions = new Map();
          const turns = [...outages, ...Array.from({length: ids.length + 1}, () => [false, false] as const)];
          for (const down of turns) {
            const pages = shards.flatMap((rows, shard) =>
              down[shard] === true ? [] : [{shard, rows: readShard(rows, positions.get(shard), limit), isCut: false}],
            );
            const page = mergePages(pages, ({id}) => id, limit, positions);
            seen.push(...page.rows.map(({id}) => id));
            positions = page.positions;
          }
          expect(new Set(seen).size).toBe(seen.length);
          expect([...seen].sort()).toEqual([...ids].sort());
        },
      ),
    );
  });

  test('names the shard that each row came from', () => {
    const page = mergePages(
      [
        {shard: 0, rows: [{id: 'b'}], isCut: false},
        {shard: 1, rows: [{id: 'a'}], isCut: false},
      ],
      ({id}) => id,
      5,
      new Map(),
    );
    expect(page.rows).toEqual([
      {id: 'a', shard: 1},
      {id: 'b', shard: 0},
    ]);
  });
});
