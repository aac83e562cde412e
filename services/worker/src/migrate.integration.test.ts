import {type Topology} from '@pisync/contract/topology';
import {findEnrolmentToken, tokenHash} from '@pisync/core/devices/tokens';
import {openSecrets} from '@pisync/core/secrets/secrets';
import {createLogger} from '@pisync/core/telemetry/logger';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
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

const migrate = (job: Partial<MigrationJob> = {}): Promise<void> =>
  runMigration({
    shardId: 0,
    topology: () => bench.topology,
    ...job,
    secrets: openSecrets(bench.secretsDir),
    log: createLogger({level: 'silent', service: 'worker', pod: 'test'}),
    now: Date.now,
    deadlineMs: 10_000,
  });

test('the enrolment token that an earlier release copied ends, and those that somebody wrote do not', async () => {
  const insert = (token: string, group: string, at: string): Promise<unknown> =>
    control().query(
      'insert into control.enrolment_token (token_hash, group_name, created_at) values ($1, $2, $3::timestamptz)',
      [tokenHash(token), group, at],
    );
  await control().query(
    `insert into control.api_token (token_hash, name, role, created_at) values ('\\x01', 'bootstrap', 'admin', '2026-01-01T00:00:00Z')`,
  );
  await insert('copied', 'default', '2026-01-01T00:00:00.020Z');
  await insert('written', 'default', '2026-01-01T00:10:00Z');
  await insert('pond', 'pond', '2026-01-01T00:00:00.030Z');
  await migrate();
  await migrate();
  // Pods of that release go by the row until they are replaced.
  expect(await findEnrolmentToken(bench.shards, tokenHash('copied'))).toEqual({group: 'default'});
  const found = await control().query<{group: string; hours: number | null}>(
    `select group_name as "group", round(extract(epoch from expires_at - now()) / 3600)::float8 as hours
     from control.enrolment_token order by created_at`,
  );
  expect(found.rows).toEqual([
    {group: 'default', hours: 24},
    {group: 'pond', hours: null},
    {group: 'default', hours: null},
  ]);
});

test.each<[string, number, Partial<MigrationJob>]>([
  ['as many as it is told', 2, {firstShards: 2}],
  ['those that are admitted', 1, {}],
])(
  'slots are shared out among %s, and none is given to a shard that joins and may be taken back',
  async (_what, count, job) => {
    const {topology} = bench;
    const declared = {...topology, joining: [1, 2].map((id) => ({...shardOf(topology), id}))};
    await control().query('delete from control.slot_map');
    await migrate({...job, topology: () => declared});
    const found = await control().query<{count: number}>(
      'select count(distinct shard)::float8 as count from control.slot_map',
    );
    expect(found.rows).toEqual([{count}]);
  },
);
