import {afterAll, beforeAll, describe, expect, jest, test} from '@jest/globals';
import pg from 'pg';
import {createDeviceKeys} from '../devices/device-keys.ts';
import {findDevice} from '../queries/devices.ts';
import {enrol} from '../devices/enrolment.ts';
import {DEFAULT_GROUP} from '../devices/groups.ts';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {openMuteProxy} from '../testing/mute-proxy.ts';
import {isSystemicDatabaseFault} from './database-fault.ts';
import {type Migration, MIGRATIONS, migrateShard, schemaVersion} from './migrate.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

test('a migration does not wait for ever for a server that takes connections and says nothing', async () => {
  const url = new URL(process.env.PISYNC_TEST_POSTGRES_URL ?? 'postgres://PISYNC_TEST_POSTGRES_URL-is-not-set:1');
  const proxy = await openMuteProxy(url);
  try {
    proxy.state.mute = true;
    const target = {host: '127.0.0.1', port: proxy.port, database: 'postgres', user: 'postgres', password: 'any'};
    const outcome = await migrateShard(target, 1).then(() => 'migrated', isSystemicDatabaseFault);
    expect(outcome).toBe(true);
  } finally {
    proxy.close();
  }
}, 30_000);

describe('the release before', () => {
  let bench: TestShards;
  beforeAll(async () => {
    bench = await createTestShards({shards: 1});
  });
  afterAll(() => bench.close());

  const next = (worksWith: string): readonly Migration[] => [
    ...MIGRATIONS,
    {
      name: '9999-next',
      worksWith,
      steps: () => [{kind: 'transaction', sql: 'alter table device add column if not exists colour text'}],
    },
  ];
  const last = MIGRATIONS.at(-1)?.name ?? '';

  test('goes on working on a newer schema that says so, its migration Job too, and refuses one that does not', async () => {
    const target = bench.target(0);
    const db = new pg.Client(target);
    await db.connect();
    try {
      expect(await migrateShard(target, 0, undefined, next(last))).toBe(MIGRATIONS.length + 1);
      expect(await schemaVersion(db)).toBe(MIGRATIONS.length);
      expect(await migrateShard(target, 0)).toBe(MIGRATIONS.length);
      const deviceId = crypto.randomUUID();
      await enrol(bench.shards, createDeviceKeys(bench.shards), {
        deviceId,
        hardwareId: deviceId,
        secretHash: Buffer.alloc(32),
        groupId: DEFAULT_GROUP,
      });
      expect(await findDevice(bench.shards, deviceId)).toMatchObject({deviceId});
      await migrateShard(target, 0, undefined, next('9998-not-ours'));
      await expect(migrateShard(target, 0)).rejects.toThrow('of a newer release, on which this one does not work');
    } finally {
      await db.end();
    }
  });

  test('is what the next one finds: it knows that its schema is older', async () => {
    expect(await schemaVersion(bench.shards.pool(0, 'job'), next(last))).toBe(MIGRATIONS.length + 1);
    const older = MIGRATIONS.slice(0, -1);
    expect(await schemaVersion(bench.shards.pool(0, 'job'), [...older, {name: '0000-other', steps: () => []}])).toBe(
      older.length,
    );
  });
});
