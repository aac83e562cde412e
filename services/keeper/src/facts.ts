import {type Facts, type ProbeFact} from '@pisync/contract/facts';
import {type Shards} from '@pisync/core/shards/shards';
import {commitProbe, type ShardClient, withinDeadline} from '@pisync/core/shards/write-probe';
import {PROBE_MS, probeFailed} from './probes.ts';

type ShardFacts = Facts['shards'][number];

interface OwnerCounts {
  readonly owned: number;
  readonly importing: number;
}

/** What a shard says of itself. */
interface ShardReport {
  readonly slots: number;
  readonly importing: number;
}

const readShard = async (client: ShardClient): Promise<ShardReport> => {
  const table = await client.query<{present: boolean}>(`select to_regclass('slot_owner') is not null as present`);
  if (table.rows[0]?.present !== true) return {slots: 0, importing: 0};
  const counts = await client.query<OwnerCounts>(
    `select count(*) filter (where state = 'owned') as owned, count(*) filter (where state = 'importing') as importing
     from slot_owner`,
  );
  return {slots: counts.rows[0]?.owned ?? 0, importing: counts.rows[0]?.importing ?? 0};
};

const lookAtShard = async (shards: Pick<Shards, 'pool'>, id: number, deadlineMs: number) => {
  let report: ShardReport | undefined;
  let write: ProbeFact;
  try {
    await withinDeadline(shards.pool(id, 'ingest'), deadlineMs, async (client) => {
      report = await readShard(client);
      await commitProbe(client);
    });
    write = {ok: true};
  } catch (error) {
    write = probeFailed(error);
  }
  const {importing, ...known} = report ?? {};
  const facts: ShardFacts = {id, ...known, write};
  return {facts, importing};
};

export interface FactsOptions {
  readonly shards: Pick<Shards, 'ids' | 'pool'>;
  readonly tryBroker: () => Promise<ProbeFact>;
  readonly tryCache: () => Promise<ProbeFact>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly shardDeadlineMs?: number;
}

const MINUTE_MS = 60_000;

/** Tries everything that the region stands on, all at once, so that what is silent silences nothing else. Never rejects. */
export const gatherFacts = async (options: FactsOptions): Promise<Facts> => {
  const {shards, now, shardDeadlineMs = PROBE_MS} = options;
  const checkedAt = new Date(Math.floor(now() / MINUTE_MS) * MINUTE_MS).toISOString();
  const [looks, broker, cache] = await Promise.all([
    Promise.all(shards.ids().map((id) => lookAtShard(shards, id, shardDeadlineMs))),
    options.tryBroker(),
    options.tryCache(),
  ]);
  const moving = looks.map(({importing}) => importing);
  const known = moving.filter((count) => count !== undefined);
  const total = known.reduce((sum, count) => sum + count, 0);
  return {
    checkedAt,
    shards: looks.map(({facts}) => facts),
    broker,
    cache,
    // Of some shards it would be told as if it were of all.
    ...(known.length === moving.length ? {slotMoves: {total, done: 0, moving: total}} : {}),
  };
};
