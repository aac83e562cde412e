/** What becomes of a sync after it was accepted, asked for a sample of them. */
import {setTimeout as delay} from 'node:timers/promises';
import {Latency, type Percentiles} from '@pisync/agent/fleet/latency';
import pg from 'pg';
import {type HttpConnection} from '../../http-connection.ts';
import {type Connections} from './connections.ts';

/** Longer than anything is cached that the admin API shows of a device. */
const PATIENCE_MS = 90_000;

interface Awaited {
  readonly deviceId: string;
  readonly batchSeq: number;
  readonly acceptedMs: number;
}

export interface Probe {
  watch(deviceId: string, batchSeq: number): void;
  /** Waits for those under way, and begins anew. @throws Error when one of them has not come in a minute and a half */
  finish(): Promise<Percentiles>;
  close(): Promise<void>;
}

/** What has been awaited for long is asked for less often: by a tenth of that time. */
const PAUSE_SHARE = 1 / 10;

/** `find` says which of those that are awaited have arrived. It is called again after `leastMs` or more. */
const createProbe = (
  what: string,
  leastMs: number,
  find: (awaited: readonly Awaited[]) => Promise<readonly Awaited[]>,
  end: () => Promise<void>,
): Probe => {
  let latency = new Latency();
  const awaited = new Set<Awaited>();
  let running: Promise<void> | undefined;
  let failure: Error | undefined;
  const lookUntilFound = async (): Promise<void> => {
    while (awaited.size > 0) {
      const found = await find([...awaited]);
      const nowMs = performance.now();
      for (const one of found) {
        awaited.delete(one);
        latency.record(nowMs - one.acceptedMs);
      }
      // In the order in which they were accepted.
      const [oldest] = awaited;
      if (oldest === undefined) break;
      const ageMs = nowMs - oldest.acceptedMs;
      if (ageMs > PATIENCE_MS)
        throw new Error(
          `batch ${oldest.batchSeq} of ${oldest.deviceId} was accepted ${PATIENCE_MS / 1000} s ago and is not ${what}`,
        );
      await delay(Math.max(leastMs, ageMs * PAUSE_SHARE));
    }
  };
  const look = async (): Promise<void> => {
    try {
      await lookUntilFound();
    } catch (error) {
      failure ??= error instanceof Error ? error : new Error(String(error));
      awaited.clear();
    } finally {
      running = undefined;
    }
  };
  return {
    watch(deviceId, batchSeq) {
      awaited.add({deviceId, batchSeq, acceptedMs: performance.now()});
      running ??= look();
    },
    async finish() {
      await running;
      const [{percentiles}, failed] = [latency, failure];
      latency = new Latency();
      failure = undefined;
      if (failed !== undefined) throw failed;
      return percentiles;
    },
    close: end,
  };
};

/** Committed in its shard, by asking all shards every few milliseconds. */
export const appliedProbe = (shardUrls: readonly string[]): Probe => {
  const pools = shardUrls.map((connectionString) => new pg.Pool({connectionString, max: 1}));
  // A pool without a listener ends the process when an idle connection is lost.
  for (const pool of pools) pool.on('error', () => undefined);
  // Both change in one transaction, and the receipts of a device would have to be looked for on each day.
  const text = `select n.device_id, n.batch_seq::int as batch_seq from unnest($1::uuid[], $2::bigint[]) n (device_id, batch_seq)
    join device d on d.device_id = n.device_id join device_state s on s.device_key = d.device_key
    where n.batch_seq <= s.applied_through or n.batch_seq <@ s.ahead`;
  return createProbe(
    'applied',
    10,
    async (awaited) => {
      const values = [awaited.map(({deviceId}) => deviceId), awaited.map(({batchSeq}) => batchSeq)];
      const found = await Promise.all(
        pools.map((pool) => pool.query<{device_id: string; batch_seq: number}>({name: 'applied', text, values})),
      );
      const applied = new Set(found.flatMap(({rows}) => rows.map((row) => `${row.device_id} ${row.batch_seq}`)));
      return awaited.filter(({deviceId, batchSeq}) => applied.has(`${deviceId} ${batchSeq}`));
    },
    async () => {
      await Promise.all(pools.map((pool) => pool.end()));
    },
  );
};

/** Shown by the admin API. */
export const visibleProbe = (connections: Connections, token: string): Probe => {
  const headers = `Authorization: Bearer ${token}\r\n`;
  /** Undefined where it does not say, as when it allows a token no more calls, or its pods are being replaced. */
  const appliedThrough = async (deviceId: string): Promise<number | undefined> => {
    let connection: HttpConnection | undefined;
    try {
      connection = await connections.take();
      const answer = await connection.get(`/api/v1/devices/${deviceId}?fields=appliedThrough`, headers);
      connections.giveBack(connection);
      const applied = /"appliedThrough":(\d+)/.exec(answer.body)?.[1];
      return applied === undefined ? undefined : Number(applied);
    } catch {
      if (connection !== undefined) connections.drop(connection);
      return undefined;
    }
  };
  return createProbe(
    'visible',
    10,
    async (awaited) => {
      const seen: Awaited[] = [];
      for (const one of awaited) {
        const applied = await appliedThrough(one.deviceId);
        if (applied !== undefined && applied >= one.batchSeq) seen.push(one);
      }
      return seen;
    },
    () => {
      connections.close();
      return Promise.resolve();
    },
  );
};
