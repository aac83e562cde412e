/**
 * What a good engineer would write in a day for the same calls: Fastify, one statement and one commit per sync, with `insert ... select from unnest` into the same
 * tables, credentials remembered in the process. No queue, so no batch waits for others and none outlives a database that is away.
 */
import {createHash, timingSafeEqual} from 'node:crypto';
import fastify, {type FastifyInstance} from 'fastify';
import type pg from 'pg';

interface LeanParts {
  readonly pool: pg.Pool;
  readonly now: () => Date;
}

interface Sync {
  readonly epoch: string;
  readonly batchSeq: number;
  readonly mode: string;
  readonly reason?: string;
  readonly state?: unknown;
  readonly records?: readonly {
    readonly s: number;
    readonly k: string;
    readonly t?: number | null;
    readonly d: unknown;
  }[];
}

const integer = (minimum: number) => ({type: 'integer', minimum});
const syncSchema = {
  type: 'object',
  required: ['epoch', 'batchSeq', 'mode'],
  properties: {
    epoch: {type: 'string', minLength: 1, maxLength: 64},
    batchSeq: integer(1),
    mode: {enum: ['delta', 'full', 'heartbeat']},
    reason: {enum: ['scheduled', 'forced', 'retry', 'boot']},
    state: {type: ['object', 'null']},
    records: {
      type: 'array',
      maxItems: 500,
      items: {
        type: 'object',
        required: ['s', 'k'],
        properties: {
          s: integer(0),
          k: {type: 'string', minLength: 1, maxLength: 64},
          t: {type: ['number', 'null']},
          d: {},
        },
      },
    },
  },
};

interface Device {
  readonly device_key: string;
  readonly slot: number;
  readonly secret_hash: Buffer;
  readonly revoked: boolean;
}

const CREDENTIAL = /^Bearer ps_([0-9a-f-]{36})\.([A-Za-z0-9_-]{43})$/;
const REMEMBER_MS = 60_000;
const MOST_REMEMBERED = 100_000;

const FIND = {
  name: 'find',
  text: 'select device_key, slot, secret_hash, revoked_at is not null as revoked from device where device_id = $1',
};

const STORE = {
  name: 'store',
  text: `
with fresh as (
  insert into receipt (device_key, epoch, batch_seq, slot, content_hash, outcome, record_count, bad_count, mode, reason, received_day, received_at)
  values ($1, 1, $2, $3, $4, 'applied', cardinality($9::bigint[]), 0, $5, $6, $7, $8)
  on conflict (device_key, epoch, batch_seq) do nothing
  returning batch_seq
), stored as (
  insert into record (device_key, slot, epoch, batch_seq, seq, kind, device_time, data, received_day, received_at)
  select $1, $3, 1, $2, r.seq, r.kind, to_timestamp(r.t / 1000), r.data, $7, $8
  from fresh, unnest($9::bigint[], $10::text[], $11::double precision[], $12::jsonb[]) as r (seq, kind, t, data)
), state as (
  update device_state
  set state = $13, state_seq = $2, applied_through = $2, last_sync_at = $8, last_seen_at = $8,
    records_total = records_total + cardinality($9::bigint[]), syncs_total = syncs_total + 1
  where device_key = $1 and exists (select from fresh)
), status as (
  update device_status set status = 'on_time', since = $8
  where device_key = $1 and status <> 'on_time' and exists (select from fresh)
)
select exists (select from fresh) as stored`,
};

export const createLeanApp = ({pool, now}: LeanParts): FastifyInstance => {
  const remembered = new Map<string, {readonly device: Device; readonly untilMs: number}>();

  const findDevice = async (deviceId: string): Promise<Device | undefined> => {
    const nowMs = performance.now();
    const known = remembered.get(deviceId);
    if (known !== undefined && nowMs < known.untilMs) return known.device;
    const [device] = (await pool.query<Device>({...FIND, values: [deviceId]})).rows;
    if (remembered.size >= MOST_REMEMBERED) remembered.clear();
    if (device !== undefined) remembered.set(deviceId, {device, untilMs: nowMs + REMEMBER_MS});
    return device;
  };

  const store = async ({device_key, slot}: Device, sync: Sync): Promise<boolean> => {
    const {batchSeq, mode, reason = null, state = null, records = []} = sync;
    const receivedAt = now();
    const values = [
      device_key,
      batchSeq,
      slot,
      createHash('sha256')
        .update(JSON.stringify([state, records]))
        .digest(),
      mode,
      reason,
      receivedAt.toISOString().slice(0, 10),
      receivedAt,
      records.map(({s}) => s),
      records.map(({k}) => k),
      records.map(({t}) => t ?? null),
      records.map(({d}) => JSON.stringify(d ?? null)),
      JSON.stringify(state),
    ];
    const {rows} = await pool.query<{stored: boolean}>({...STORE, values});
    return rows[0]?.stored === true;
  };

  const app = fastify({bodyLimit: 2 ** 20});
  app.get('/health', () => ({ok: true}));
  app.post<{Body: Sync}>('/v1/sync', {schema: {body: syncSchema}}, async (request, reply) => {
    const [, deviceId, secret] = CREDENTIAL.exec(request.headers.authorization ?? '') ?? [];
    if (deviceId === undefined || secret === undefined) return reply.code(401).send({error: 'no credential'});
    const device = await findDevice(deviceId);
    const shown = createHash('sha256').update(secret).digest();
    if (device === undefined || device.revoked || !timingSafeEqual(shown, device.secret_hash))
      return reply.code(401).send({error: 'wrong credential'});
    const stored = await store(device, request.body);
    return {accepted: request.body.batchSeq, duplicate: !stored};
  });
  return app;
};
