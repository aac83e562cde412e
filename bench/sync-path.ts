/** Syncs that are accepted *and* applied per second: PiSync's device-api and worker as two processes, the lean baseline as two, or the seed as one. */
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {brokerNames, QUEUE_PRIORITIES, RETRY_RUNGS} from '@pisync/core/broker/names';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {type ChannelModel, connect} from 'amqplib';
import {type Child, freePort, startChild} from './child.ts';
import {type BenchDevice, enrolDevices} from './devices.ts';
import {type Percentiles} from '@pisync/agent/fleet/latency';
import {type LoadReport, runLoad, runPacedLoad} from './load.ts';
import {histogramMean} from './means.ts';
import {type Sample, time} from './measure.ts';
import {portOf, type Servers} from './servers.ts';

/** One side of the comparison, with a database of its own. */
export interface SyncPath {
  /** Loads it for so long with all that it takes, and waits until all that was accepted is applied; that wait counts. */
  readonly measure: (durationMs: number, recordsPerSync: number) => Promise<Sample>;
  /** Loads it with so many syncs a second. */
  readonly pace: (durationMs: number, recordsPerSync: number, perSecond: number) => Promise<PacedSample>;
  /** @throws Error unless every accepted batch was applied once with all its records. */
  check(): Promise<void>;
  close(): Promise<void>;
}

export interface PacedSample extends Sample {
  /** From when a sync was due until it was accepted. */
  readonly waits: Percentiles;
}

/** What group commit came to since the start: the larger, the less a broker message and a transaction cost each sync. */
export interface GroupSizes {
  readonly batchesPerBundle: number;
  readonly recordsPerWindow: number;
}

export interface PiSyncPath extends SyncPath {
  readonly groupSizes: () => Promise<GroupSizes>;
}

/** Devices that sync at the same moment, each over a connection of its own. */
const DEVICES = 256;
const PARTITIONS = 2;
const DRAIN_MS = 60_000;

interface PathParts {
  readonly url: string;
  readonly shards: TestShards;
  readonly devices: readonly BenchDevice[];
  readonly children: readonly Child[];
  readonly cleanUp: () => Promise<void>;
}

const pathOf = ({url, shards, devices, children, cleanUp}: PathParts): SyncPath => {
  const nextBatch = devices.map(() => 1);
  const pool = shards.shards.pool(0, 'ingest');
  let total = 0;
  let totalRecords = 0;
  const applied = async (): Promise<number> => {
    const found = await pool.query<{syncs: number}>('select sum(syncs_total)::int as syncs from device_state');
    return found.rows[0]?.syncs ?? 0;
  };
  const timed = (recordsPerSync: number, load: () => Promise<LoadReport>): Promise<Sample> =>
    time(
      children.map(({pid}) => pid),
      async () => {
        const {accepted} = await load();
        total += accepted;
        totalRecords += accepted * recordsPerSync;
        const deadlineMs = performance.now() + DRAIN_MS;
        for (let seen = await applied(); seen < total; seen = await applied()) {
          if (performance.now() > deadlineMs) throw new Error(`${total} syncs were accepted, ${seen} are applied`);
          await delay(10);
        }
        return accepted;
      },
    );
  return {
    measure: (durationMs, recordsPerSync) =>
      timed(recordsPerSync, () => runLoad({url, devices, nextBatch, recordsPerSync, durationMs})),
    async pace(durationMs, recordsPerSync, perSecond) {
      const {promise: waits, resolve} = Promise.withResolvers<Percentiles>();
      const sample = await timed(recordsPerSync, async () => {
        const report = await runPacedLoad({url, devices, nextBatch, recordsPerSync, durationMs}, perSecond);
        resolve(report.waits);
        return report;
      });
      return {...sample, waits: await waits};
    },
    async check() {
      const found = await pool.query<{receipts: number; records: number}>(
        'select (select count(*) from receipt)::int as receipts, (select count(*) from record)::int as records',
      );
      const {receipts, records} = found.rows[0] ?? {receipts: 0, records: 0};
      if (receipts !== total || records !== totalRecords) {
        throw new Error(`${total} syncs were accepted; the shard has ${receipts} receipts and ${records} records`);
      }
    },
    async close() {
      await Promise.all(children.map((child) => child.stop()));
      await cleanUp();
      await shards.close();
    },
  };
};

const here = (path: string): string => join(import.meta.dirname, path);

/** `folder` takes the files that a pod would have mounted. */
export const startPiSync = async (servers: Servers, folder: string): Promise<PiSyncPath> => {
  const shards = await createTestShards({shards: 1});
  const devices = await enrolDevices(shards.shards, DEVICES);
  await removeQueues(servers.amqp);
  mkdirSync(folder, {recursive: true});
  const topologyFile = join(folder, 'topology.json');
  const broker = {host: servers.amqp.hostname, port: portOf(servers.amqp, 5672)};
  const redis = {host: servers.redis.hostname, port: portOf(servers.redis, 6379)};
  const topology = {...shards.topology, redis, broker: {...shards.topology.broker, ...broker, partitions: PARTITIONS}};
  writeFileSync(topologyFile, JSON.stringify(topology));
  const brokerSecret = join(shards.secretsDir, 'rabbitmq');
  mkdirSync(brokerSecret);
  writeFileSync(join(brokerSecret, 'username'), decodeURIComponent(servers.amqp.username));
  writeFileSync(join(brokerSecret, 'password'), decodeURIComponent(servers.amqp.password));

  const start = async (service: string, env: Readonly<Record<string, string>>) => {
    const opsPort = await freePort();
    const child = await startChild(
      [here('processes/service.ts'), service],
      {
        PISYNC_TOPOLOGY_FILE: topologyFile,
        PISYNC_SECRETS_DIR: shards.secretsDir,
        PISYNC_POD_NAME: `bench-${service}`,
        PISYNC_LOG_LEVEL: 'warn',
        PISYNC_OPS_PORT: String(opsPort),
        ...env,
      },
      `http://127.0.0.1:${opsPort}/readyz`,
    );
    const mean = async (histogram: string): Promise<number> => {
      const answer = await fetch(`http://127.0.0.1:${opsPort}/metrics`);
      return histogramMean(await answer.text(), histogram);
    };
    return {...child, mean};
  };
  const httpPort = await freePort();
  await using begun = new AsyncDisposableStack();
  const worker = begun.adopt(await start('worker', {}), (child) => child.stop());
  const deviceApi = await start('device-api', {
    PISYNC_HTTP_PORT: String(httpPort),
    PISYNC_DRAIN_MS: '0',
    // A device of the load generator syncs again at once, which the quota of a real one forbids.
    PISYNC_DEVICE_BURST: '10000',
    PISYNC_DEVICE_RATE: '10000',
    PISYNC_DEVICE_BURST_BYTES: String(64 * 1024 ** 3),
  });
  const path = pathOf({
    url: `http://127.0.0.1:${httpPort}`,
    shards,
    devices,
    children: [deviceApi, worker],
    cleanUp: () => removeQueues(servers.amqp),
  });
  // The path's from here on.
  begun.move();
  return {
    ...path,
    groupSizes: async () => ({
      batchesPerBundle: await deviceApi.mean('pisync_bundle_items'),
      recordsPerWindow: await worker.mean('pisync_worker_window_records'),
    }),
  };
};

/** What a baseline needs: a database with devices, and where to listen. */
const baselineParts = async (servers: Servers) => {
  const shards = await createTestShards({shards: 1});
  const devices = await enrolDevices(shards.shards, DEVICES);
  const port = String(await freePort());
  const database = new URL(servers.postgres);
  database.pathname = `/${shards.target(0).database}`;
  const path = {url: `http://127.0.0.1:${port}`, shards, devices, cleanUp: () => Promise.resolve()};
  return {port, database: database.href, path};
};

export const startSeed = async (servers: Servers): Promise<SyncPath> => {
  const {port, database, path} = await baselineParts(servers);
  const child = await startChild(
    [here('seed/main.ts')],
    {
      SEED_PORT: port,
      SEED_POSTGRES_URL: database,
      SEED_AMQP_URL: servers.amqp.href,
      SEED_REDIS_URL: servers.redis.href,
    },
    `${path.url}/health`,
  );
  return pathOf({...path, children: [child]});
};

/** As many as PiSync has. */
const LEAN_PROCESSES = 2;

/** A baseline that needs nothing but the database. */
export const startLean = async (servers: Servers): Promise<SyncPath> => {
  const {port, database, path} = await baselineParts(servers);
  const children: Child[] = [];
  await using begun = new AsyncDisposableStack();
  for (let number = 0; number < LEAN_PROCESSES; number++) {
    const env = {LEAN_PORT: port, LEAN_POSTGRES_URL: database};
    const child = await startChild([here('lean/main.ts')], env, `${path.url}/health`);
    children.push(begun.adopt(child, (it) => it.stop()));
  }
  begun.move();
  return pathOf({...path, children});
};

/** What an interrupted run left would be applied to devices that no longer are. @throws when somebody consumes from them. */
const removeQueues = async (amqp: URL): Promise<void> => {
  const names = brokerNames();
  const model = await connect(amqp.href);
  try {
    const channel = await model.createChannel();
    const queues = [
      ...QUEUE_PRIORITIES.flatMap((priority) =>
        Array.from({length: PARTITIONS}, (_, partition) => names.batches.queue(partition, priority)),
      ),
      ...QUEUE_PRIORITIES.map((priority) => names.requests.queue(priority)),
      ...RETRY_RUNGS.map((rung) => names.retry.queue(rung)),
      names.parked.queue(0),
    ];
    for (const queue of queues) {
      const consumers = await consumersOf(model, queue);
      if (consumers > 0) throw new Error(`queue ${queue} has ${consumers} consumers: a region uses this broker`);
      await channel.deleteQueue(queue);
    }
    for (const exchange of [
      names.batches.exchange,
      names.requests.exchange,
      names.parked.exchange,
      ...RETRY_RUNGS.map((rung) => names.retry.exchange(rung)),
    ]) {
      await channel.deleteExchange(exchange);
    }
  } finally {
    await model.close();
  }
};

/** AMQP 0-9-1, "not-found". */
const NOT_FOUND = 404;

/** Consumers of a queue, 0 when there is no such queue; asking for one that is missing costs the channel. */
const consumersOf = async (model: ChannelModel, queue: string): Promise<number> => {
  const channel = await model.createChannel();
  // The same error rejects the call below.
  channel.on('error', () => undefined);
  try {
    const {consumerCount} = await channel.checkQueue(queue);
    await channel.close();
    return consumerCount;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === NOT_FOUND) return 0;
    throw error;
  }
};
