import {initialShardOf, SLOTS} from '@pisync/contract/slots';
import {type Topology} from '@pisync/contract/topology';
import {openSecrets} from '@pisync/core/secrets/secrets';
import {encodeSlotMap} from '@pisync/core/shards/saved-slot-map';
import {createLogger} from '@pisync/core/telemetry/logger';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {afterAll, afterEach, beforeAll, describe, expect, jest, test} from '@jest/globals';
import {rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import pg from 'pg';
import {type MigrationJob, runMigration} from './migrate.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

const control = () => bench.shards.control('job');

const shardOf = ({shards}: Topology): Topology['shards'][number] => {
  const [shard] = shards;
  if (shard === undefined) throw new Error('no shard');
  return shard;
};

/** Beside the Secrets, so that it goes with them. */
const slotMapFile = (): string => join(bench.secretsDir, 'slot-map.json');

const migrate = (job: Partial<MigrationJob> = {}): Promise<void> =>
  runMigration({
    shardId: 0,
    slotMapFile: slotMapFile(),
    topology: () => bench.topology,
    secrets: openSecrets(bench.secretsDir),
    log: createLogger({level: 'silent', service: 'worker', pod: 'test'}),
    now: Date.now,
    deadlineMs: 10_000,
    ...job,
  });

/** With two shards that wait to be admitted. */
const joined = (): Topology => ({
  ...bench.topology,
  joining: [1, 2].map((id) => ({...shardOf(bench.topology), id})),
});

test.each<[string, number, Partial<MigrationJob>]>([
  ['as many as it is told', 2, {firstShards: 2}],
  ['those that are admitted', 1, {}],
])(
  'slots are shared out among %s, and none is given to a shard that joins and may be taken back',
  async (_what, count, job) => {
    await control().query('delete from control.slot_map');
    await migrate({...job, topology: joined});
    const found = await control().query<{count: number}>(
      'select count(distinct shard)::float8 as count from control.slot_map',
    );
    expect(found.rows).toEqual([{count}]);
  },
);

describe('shard 0 that is begun anew', () => {
  /** Made with two shards, and grown since: the third has no slots yet. */
  const ofTwo = Array.from({length: SLOTS}, (_, slot) => initialShardOf(slot, 2));
  const grown = (): Topology => {
    const {joining, ...topology} = joined();
    return {...topology, shards: [...topology.shards, ...joining], joining: []};
  };
  const begin = async (saved: string): Promise<void> => {
    await control().query('delete from control.slot_map');
    await control().query('delete from slot_owner');
    await writeFile(slotMapFile(), saved);
    await migrate({firstShards: 3, topology: grown});
  };
  const owners = async (): Promise<readonly number[]> => {
    const found = await control().query<{shard: number}>('select shard from control.slot_map order by slot');
    return found.rows.map(({shard}) => shard);
  };
  afterEach(() => rm(slotMapFile(), {force: true}));

  test('has the slot map that the others have, and its own slots in that', async () => {
    await begin(encodeSlotMap({version: 0, shards: ofTwo}));
    expect(await owners()).toEqual(ofTwo);
    const owned = await control().query(`select slot from slot_owner where state = 'owned'`);
    expect(owned.rowCount).toBe(512);
    // What it has is never touched, whatever becomes of the saved one.
    await writeFile(slotMapFile(), 'broken');
    await migrate({firstShards: 3, topology: grown});
    expect(await owners()).toEqual(ofTwo);
  });

  test.each([
    ['is broken', 'broken', 'cannot be read'],
    ['is not whole', '{"version":0,"runs":[[1023,0]]}', 'cannot be read'],
    ['is of other shards', encodeSlotMap({version: 0, shards: ofTwo.map((shard) => shard * 7)}), 'names shard 7'],
  ])('gives no slot away while the saved map %s', async (_what, saved, message) => {
    await expect(begin(saved)).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringContaining(message),
    });
    expect(await owners()).toEqual([]);
  });
});

test('days are made by the clock of the shard, whatever that of the migration says', async () => {
  await migrate({now: () => Date.UTC(2018, 2, 1)});
  const found = await control().query(`select relname from pg_class where relname ~ '^record_2018' and relkind = 'r'`);
  expect(found.rows).toEqual([]);
});

test('a migration that another one has locked out says so, and gives up at its deadline', async () => {
  const other = new pg.Client({...bench.target(0), application_name: 'stopped'});
  await other.connect();
  try {
    await other.query('select pg_advisory_lock($1)', [0x504d]);
    await expect(migrate({deadlineMs: 1_000})).rejects.toMatchObject({
      code: 'shard-unavailable',
      cause: {message: expect.stringMatching(/is being migrated by session \d+ \(stopped, idle since/)},
    });
  } finally {
    await other.end();
  }
  await migrate();
});

/** What whoever begins a migration is told by the shard. */
const whileItSays = async (errcode: string, message: string, work: () => Promise<unknown>): Promise<void> => {
  await control().query(
    `create function refuse() returns trigger language plpgsql as
       $$ begin raise exception '${message}' using errcode = '${errcode}'; end $$;
     create trigger refuse before insert or update or delete on schema_migration_lock execute function refuse()`,
  );
  try {
    await work();
  } finally {
    await control().query('drop function refuse cascade');
  }
  await migrate();
};

test('a migration waits for a shard that gives out no transaction ids, until its deadline', () =>
  whileItSays('54000', 'no transaction IDs', () =>
    expect(migrate({deadlineMs: 1_000})).rejects.toMatchObject({
      code: 'shard-unavailable',
      cause: {message: expect.stringContaining('no transaction IDs')},
    }),
  ));

test.each([
  ['may not do', '42501'],
  ['finds done already', '42P07'],
  ['cannot say', '0A000'],
])('a migration does not wait when there is something that it %s', (_what, errcode) =>
  whileItSays(errcode, 'not for you', () =>
    expect(migrate({deadlineMs: 10_000})).rejects.toMatchObject({code: errcode}),
  ),
);
