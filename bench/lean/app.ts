/**
 * What a good engineer would write in a day for the same calls: Fastify, one statement and one commit per sync, with `insert ... select from unnest` into the same
 * tables, credentials remembered in the process. No queue, so no batch waits for others and none outlives a database that is away. It takes the batches of a device
 * in their order alone, of the first epoch alone, and looks at neither commands nor the content of a batch that comes again, all of which PiSync does.
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
  readonly secret_hash: Buffer;
  readonly revoked: boolean;
}

const CREDENTIAL = /^Bearer ps_([0-9a-f-]{36})\.([A-Za-z0-9_-]{43})$/;
const REMEMBER_MS = 60_000;
const MOST_REMEMBERED = 100_000;

const FIND = {
  name: 'find',
  text: 'select device_key, secret_hash, revoked_at is not null as revoked from device where device_id = $1',
};

/**
 * The guarded update of `applied_through` decides whether a batch is new, as a receipt is unique in its day alone; of two with one number the second waits for the
 * row and then finds it further. Where nothing was stored, `through` is of before that wait: a batch that it is right before has just been stored by the other.
 */
const STORE = {
  name: 'store',
  text: `
with fresh as (
  update device_state
  set applied_through = $2, last_sync_at = $7, last_seen_at = $7, records_total = records_total + cardinality($8::bigint[]), syncs_total = syncs_total + 1,
    state_epoch = case when $12::jsonb is null then state_epoch else 1 end, state_seq = case when $12::jsonb is null then state_seq else $2 end,
    tx_id = pg_current_xact_id()::text::bigint
  where device_key = $1 and epoch = 1 and applied_through = $2::bigint - 1
  returning device_key
), receipts as (
  insert into receipt (device_key, epoch, batch_seq, content_hash, outcome, record_count, bad_count, mode, reason, received_day, received_at)
  select device_key, 1, $2, $3, 'applied', cardinality($8::bigint[]), 0, $4, $5, $6, $7 from fresh
), records as (
  insert into record (device_key, epoch, batch_seq, ordinal, seq, kind, device_time, data, received_day, received_at)
  select device_key, 1, $2, r.place - 1, r.seq, r.kind, to_timestamp(r.t / 1000), r.data, $6, $7
  from fresh, unnest($8::bigint[], $9::text[], $10::double precision[], $11::jsonb[]) with ordinality as r (seq, kind, t, data, place)
), shadow as (
  insert into device_shadow as s (device_key, state) select device_key, $12 from fresh where $12 is not null
  on conflict (device_key) do update set state = excluded.state, tx_id = pg_current_xact_id()::text::bigint where s.state <> excluded.state
), status as (
  update device_status t
  set status = 'on_time', since = $7, last_seen_at = null, tx_id = pg_current_xact_id()::text::bigint
  from fresh where t.device_key = fresh.device_key and t.status <> 'on_time'
  returning t.device_key
), checks as (
  insert into device_check (check_at, device_key) select $7::timestamptz + interval '26 hours', device_key from status on conflict do nothing
)
select exists (select from fresh) as stored, (select applied_through::int from device_state where device_key = $1) as through`,
};

/** `missing`: a batch before it was not stored yet. */
type Outcome = 'stored' | 'duplicate' | 'missing';

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

  const store = async ({device_key}: Device, sync: Sync): Promise<Outcome> => {
    const {batchSeq, mode, reason = null, state = null, records = []} = sync;
    const receivedAt = now();
    const values = [
      device_key,
      batchSeq,
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
      state === null ? null : JSON.stringify(state),
    ];
    const {rows} = await pool.query<{stored: boolean; through: number | null}>({...STORE, values});
    const [{stored, through} = {stored: false, through: null}] = rows;
    if (stored) return 'stored';
    return (through ?? 0) < batchSeq - 1 ? 'missing' : 'duplicate';
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
    const outcome = await store(device, request.body);
    if (outcome === 'missing') return reply.code(409).send({error: 'a batch before this one has not come'});
    return {accepted: request.body.batchSeq, duplicate: outcome === 'duplicate'};
  });
  return app;
};
