import {randomUUID} from 'node:crypto';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, jest, test} from '@jest/globals';
import {createDeviceKeys} from '@pisync/core/devices/device-keys';
import {enrol} from '@pisync/core/devices/enrolment';
import {DEFAULT_GROUP} from '@pisync/core/devices/groups';
import {sleep} from '@pisync/core/lifecycle/sleep';
import {daysAround, partitionName} from '@pisync/core/shards/partitions';
import {encodeSlotMap} from '@pisync/core/shards/saved-slot-map';
import {DAY_TABLES} from '@pisync/core/shards/sharded-tables';
import {openShards, type Shards} from '@pisync/core/shards/shards';
import {createLogger} from '@pisync/core/telemetry/logger';
import {type MuteProxy, openMuteProxy} from '@pisync/core/testing/mute-proxy';
import {freePort, startProcess} from '@pisync/core/testing/service-process';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {Registry} from 'prom-client';
import {keepShards} from './keep-shards.ts';

jest.setTimeout(120_000);

/** The next look at a shard comes after five seconds, and to be given up on takes fifteen. What a busy machine adds is in it. */
const SOON_MS = 45_000;

let bench: TestShards;
/** Stands before shard 0. */
let proxy: MuteProxy;
beforeEach(async () => {
  bench = await createTestShards({shards: 2});
  const {host, port} = bench.target(0);
  proxy = await openMuteProxy(new URL(`postgres://${host}:${port}`));
});
afterEach(async () => {
  proxy.close();
  await bench.close();
});

const refuse = (): void => {
  proxy.state.refuse = true;
  proxy.cut();
};
const hang = (): void => {
  proxy.state.mute = true;
};
const comeBack = (): void => {
  proxy.state.refuse = false;
  proxy.state.mute = false;
};

const topology = () => ({
  ...bench.topology,
  shards: bench.topology.shards.map((shard) =>
    shard.id === 0 ? {...shard, rw: {host: '127.0.0.1', port: proxy.port}} : shard,
  ),
});

/** A device whose time to be late has come. @returns what its status is */
const dueOn = async (shardId: number): Promise<() => Promise<string | undefined>> => {
  const {shards} = bench;
  let deviceId = randomUUID();
  while (shards.shardOfDevice(deviceId) !== shardId) deviceId = randomUUID();
  const made = await enrol(shards, createDeviceKeys(shards), {
    deviceId,
    hardwareId: deviceId,
    secretHash: Buffer.alloc(32),
    groupId: DEFAULT_GROUP,
  });
  if (made.kind === 'refused') throw new Error('a new device is let in');
  const pool = shards.pool(shardId, 'job');
  const key = [made.deviceKey];
  const called = `now() - interval '27 h'`;
  await pool.query(
    `update device_state set last_sync_at = ${called}, last_seen_at = ${called} where device_key = $1`,
    key,
  );
  await pool.query(`update device_status set status = 'on_time' where device_key = $1`, key);
  await pool.query(`insert into device_check (check_at, device_key) values (now() - interval '1 h', $1)`, key);
  return async () => {
    const text = 'select status from device_status where device_key = $1';
    return (await pool.query<{status: string}>(text, key)).rows[0]?.status;
  };
};
const becomesLate = (status: () => Promise<string | undefined>) =>
  until('the device to be late', status, (seen) => seen === 'late', SOON_MS);

const LAST_DAY =
  daysAround(Date.now(), 7, 7).map((day) => DAY_TABLES.map((table) => partitionName(table, day)))[0] ?? [];
const hasPartitions = async (shardId: number): Promise<boolean> => {
  const text = 'select from pg_inherits where inhrelid = any(select to_regclass(name) from unnest($1::text[]) name)';
  return (await bench.shards.pool(shardId, 'job').query(text, [LAST_DAY])).rowCount === LAST_DAY.length;
};
const dropPartitions = (shardId: number) =>
  bench.shards.pool(shardId, 'job').query(LAST_DAY.map((name) => `drop table ${name}`).join(';'));

test.each([
  {how: 'refuses connections', leave: refuse},
  {how: 'takes connections and never answers', leave: hang},
])(
  'a keeper that is restarted while shard 0 $how keeps shard 1, says which one is not kept, and takes it up when it is back',
  async ({leave}) => {
    const folder = await mkdtemp(join(tmpdir(), 'pisync-keeper-'));
    await writeFile(join(folder, 'topology.json'), JSON.stringify({...topology(), ...NO_BROKER_AND_CACHE}));
    const slotMap = bench.shards.slotMap.known();
    if (slotMap === undefined) throw new Error('the slot map was read');
    await writeFile(join(folder, 'slot-map.json'), encodeSlotMap(slotMap));
    const start = async () => {
      const opsPort = await freePort();
      const running = startProcess(new URL('./main.ts', import.meta.url), {
        PISYNC_TOPOLOGY_FILE: join(folder, 'topology.json'),
        PISYNC_SLOT_MAP_FILE: join(folder, 'slot-map.json'),
        PISYNC_SECRETS_DIR: bench.secretsDir,
        PISYNC_OPS_PORT: String(opsPort),
      });
      await running.ready(opsPort);
      const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
      return {
        ...running,
        keeps: async (shardId: number): Promise<boolean> => {
          const [, acts] =
            new RegExp(`^pisync_keeper_acting\\{shard="${shardId}".*\\} ([01])$`, 'm').exec(await metrics()) ?? [];
          return acts === '1';
        },
      };
    };
    let keeper = await start();
    try {
      for (const shardId of [0, 1]) await until(`shard ${shardId} to be kept`, () => keeper.keeps(shardId));
      for (const shardId of [0, 1]) await until('partitions ahead', () => hasPartitions(shardId));
      leave();
      await keeper.stop();
      const [there, away] = [await dueOn(1), await dueOn(0)];
      for (const shardId of [0, 1]) await dropPartitions(shardId);

      keeper = await start();
      await becomesLate(there);
      await until('partitions ahead', () => hasPartitions(1));
      expect({there: await keeper.keeps(1), away: await keeper.keeps(0)}).toEqual({there: true, away: false});
      await until('the log to say so', () =>
        /"shard":0,"reason":".*"msg":"the shard is not kept"/.test(keeper.output()),
      );
      expect(keeper.output()).not.toMatch(/"shard":1,"reason"/);
      expect({status: await away(), partitions: await hasPartitions(0)}).toEqual({
        status: 'on_time',
        partitions: false,
      });

      comeBack();
      await becomesLate(away);
      await until('partitions ahead', () => hasPartitions(0));
      expect(await keeper.keeps(0)).toBe(true);
    } finally {
      comeBack();
      expect(await keeper.stop()).toBe(0);
      await rm(folder, {recursive: true});
    }
  },
);

/** Nobody connects to them without facts to tell. */
const NO_BROKER_AND_CACHE = {
  broker: {host: '127.0.0.1', port: 1, vhost: '/', partitions: 1, replicas: 1},
  redis: {host: '127.0.0.1', port: 1},
};

const log = createLogger({level: 'silent', service: 'keeper', pod: 'test'});

/** A keeper for which a minute is a tenth of a second. */
const keepInHaste = (shards: Pick<Shards, 'ids' | 'pool'>, registry: Registry) => {
  const hurry = (ms: number, signal: AbortSignal): Promise<void> => sleep(ms / 600, signal);
  const schedule = {log, now: () => performance.now(), sleep: hurry, onRun: () => undefined};
  return keepShards({
    ...{shards, schedule, log, registry, now: Date.now, readAuditKey: () => Promise.resolve('key')},
    ...{newHolder: randomUUID, intervalMs: 5_000, patienceMs: 500},
  });
};

test.each([
  {how: 'refuses connections', leave: refuse},
  {how: 'takes connections and never answers', leave: hang},
])(
  'while shard 0 $how a keeper that runs goes on with shard 1, and with shard 0 when that is back',
  async ({leave}) => {
    const shards = await openShards({
      topology: {current: topology, onChange: () => () => undefined},
      secretsDir: bench.secretsDir,
      applicationName: 'keeper',
      log,
      metrics: new Registry(),
      sizes: {ingest: 1, dashboard: 1, job: 4},
    });
    const registry = new Registry();
    const kept = keepInHaste(shards, registry);
    try {
      for (const shardId of [0, 1]) await becomesLate(await dueOn(shardId));
      leave();
      const acting = async () => (await registry.getSingleMetric('pisync_keeper_acting')?.get())?.values;
      await until(
        'shard 0 to be given up',
        acting,
        (seen) => seen?.find(({labels}) => labels['shard'] === 0)?.value === 0,
      );
      const away = await dueOn(0);
      await becomesLate(await dueOn(1));
      expect(await away()).toBe('on_time');
      comeBack();
      await becomesLate(away);
    } finally {
      comeBack();
      await kept.stop();
      await shards.close();
    }
  },
);

test('a shard that joins is kept without a restart', async () => {
  let ids = [0];
  const kept = keepInHaste({ids: () => ids, pool: (id, use) => bench.shards.pool(id, use)}, new Registry());
  try {
    const joining = await dueOn(1);
    await becomesLate(await dueOn(0));
    expect(await joining()).toBe('on_time');
    ids = [0, 1];
    kept.follow();
    await becomesLate(joining);
  } finally {
    await kept.stop();
  }
});

test('who acts for shard 0 removes tokens that ended long ago, and asks no other shard for them', async () => {
  const pool = bench.shards.control('job');
  await pool.query(
    `insert into control.api_token (token_hash, token_id, name, role, created_by, expires_at)
     values ('x', gen_random_uuid(), 'long ago', 'viewer', 'test', '2000-01-01')`,
  );
  const registry = new Registry();
  const kept = keepInHaste(bench.shards, registry);
  try {
    const done = async () => {
      const metric = await registry.getSingleMetric('pisync_keeper_job_done_timestamp_seconds')?.get();
      return metric?.values.map(({labels}) => `${labels['job']} ${labels['shard']}`) ?? [];
    };
    await until('it to be gone', async () => (await pool.query('select from control.api_token')).rowCount === 0);
    // It is begun with the others.
    expect(await until('shard 1 to be kept', done, (seen) => seen.includes('recency 1'))).not.toContain('tokens 1');
  } finally {
    await kept.stop();
  }
});
