import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {tokenNameFault} from './token-name.ts';

jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

/** Every character of the first plane: what JavaScript and the schema could see differently. */
const CHARACTERS = Array.from({length: 0xffff}, (_, index) => String.fromCharCode(index + 1)).filter((character) =>
  character.isWellFormed(),
);
const NAMES = ['Ann, night shift', '温室', '🍓'.repeat(64), 'bootstraps', 'bootstrap', 'BOOTSTRAP', 'ｂootstrap'];

test.each(['control.api_token', 'control.enrolment_token'])(
  '%s takes the names that people may give',
  async (table) => {
    const job = bench.shards.control('job');
    const {rows} = await job.query<{check: string}>(
      `select pg_get_expr(conbin, conrelid) as check from pg_constraint where conrelid = $1::regclass and conname like '%name_check'`,
      [table],
    );
    const names = [...CHARACTERS.map((character) => `a${character}b`), ...NAMES];
    const taken = await job.query<{name: string}>(`select name from unnest($1::text[]) name where ${rows[0]?.check}`, [
      names,
    ]);
    expect(taken.rows.map(({name}) => name)).toEqual(names.filter((name) => tokenNameFault(name) === undefined));
  },
);
