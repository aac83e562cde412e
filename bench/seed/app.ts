/**
 * The design that PiSync is compared with, as a team would write it first: one Express process, one transaction per sync with one
 * insert per record, a cache entry that a sync deletes, an event that is published per sync. It uses the same tables and indexes and
 * gives the same answers about repeats and credentials; of a device it takes the batches in their order alone.
 */
import {createHash, timingSafeEqual} from 'node:crypto';
import {LATE_AFTER_MS} from '@pisync/core/devices/device-status';
import {type Channel} from 'amqplib';
import express, {type Express, type NextFunction, type Request, type Response} from 'express';
import {type Redis} from 'ioredis';
import {type Knex} from 'knex';
import {z} from 'zod';

export interface SeedParts {
  readonly db: Knex;
  readonly redis: Redis;
  readonly channel: Channel;
  readonly exchange: string;
  readonly now: () => Date;
}

const syncSchema = z.object({
  epoch: z.string().min(1).max(64),
  batchSeq: z.int().min(1),
  mode: z.enum(['delta', 'full', 'heartbeat']),
  reason: z.enum(['scheduled', 'forced', 'retry', 'boot']).optional(),
  state: z.record(z.string(), z.unknown()).nullish(),
  records: z
    .array(z.object({s: z.int().min(0), k: z.string().min(1).max(64), t: z.number().nullish(), d: z.unknown()}))
    .max(500)
    .default([]),
});
type Sync = z.infer<typeof syncSchema>;

const deviceSchema = z.object({
  // A bigint comes as text.
  device_key: z.coerce.number(),
  secret_hash: z.string(),
  revoked: z.boolean(),
});
type Device = z.infer<typeof deviceSchema>;

const CREDENTIAL = /^Bearer ps_([0-9a-f-]{36})\.([A-Za-z0-9_-]{43})$/;
const CACHE_SECONDS = 300;

const findDevice = async ({db, redis}: SeedParts, deviceId: string): Promise<Device | undefined> => {
  const cached = await redis.get(`seed:device:${deviceId}`);
  if (cached !== null) return deviceSchema.parse(JSON.parse(cached));
  const found: unknown = await db('device')
    .where({device_id: deviceId})
    .first(
      'device_key',
      db.raw(`encode(secret_hash, 'hex') as secret_hash`),
      db.raw('revoked_at is not null as revoked'),
    );
  if (found === undefined) return undefined;
  const device = deviceSchema.parse(found);
  await redis.set(`seed:device:${deviceId}`, JSON.stringify(device), 'EX', CACHE_SECONDS);
  return device;
};

/** `missing`: a batch before it was not stored yet. */
type Outcome = 'stored' | 'duplicate' | 'missing';

/** The device's row decides: a receipt is unique in its day alone. */
const store = ({db, now}: SeedParts, device: Device, sync: Sync): Promise<Outcome> =>
  db.transaction(async (transaction) => {
    const {batchSeq, state, records} = sync;
    const receivedAt = now();
    const receivedDay = receivedAt.toISOString().slice(0, 10);
    const row = {device_key: device.device_key};
    const key = {...row, epoch: 1, batch_seq: batchSeq};
    const tx = {tx_id: transaction.raw('pg_current_xact_id()::text::bigint')};
    const hasState = state !== undefined && state !== null;
    const updated = await transaction('device_state')
      .where({...row, epoch: 1, applied_through: batchSeq - 1})
      .update({
        ...(hasState ? {state_epoch: 1, state_seq: batchSeq} : {}),
        ...tx,
        applied_through: batchSeq,
        last_sync_at: receivedAt,
        last_seen_at: receivedAt,
        records_total: transaction.raw('records_total + ?', [records.length]),
        syncs_total: transaction.raw('syncs_total + 1'),
      });
    if (updated === 0) {
      const later: unknown = await transaction('device_state')
        .where(row)
        .where('applied_through', '>=', batchSeq)
        .first('device_key');
      return later === undefined ? 'missing' : 'duplicate';
    }
    await transaction('receipt').insert({
      ...key,
      content_hash: createHash('sha256')
        .update(JSON.stringify([state ?? null, records]))
        .digest(),
      outcome: 'applied',
      record_count: records.length,
      bad_count: 0,
      mode: sync.mode,
      reason: sync.reason ?? null,
      received_day: receivedDay,
      received_at: receivedAt,
    });
    for (const [ordinal, record] of records.entries()) {
      await transaction('record').insert({
        ...key,
        ordinal,
        seq: record.s,
        kind: record.k,
        device_time: typeof record.t === 'number' ? new Date(record.t) : null,
        data: JSON.stringify(record.d ?? null),
        received_day: receivedDay,
        received_at: receivedAt,
      });
    }
    if (hasState) {
      await transaction('device_shadow')
        .insert({...row, state: JSON.stringify(state)})
        .onConflict('device_key')
        .merge({state: JSON.stringify(state), ...tx});
    }
    const changed = await transaction('device_status')
      .where(row)
      .whereNot({status: 'on_time'})
      .update({status: 'on_time', since: receivedAt, last_seen_at: null, ...tx});
    if (changed > 0) {
      await transaction('device_check')
        .insert({...row, check_at: new Date(receivedAt.getTime() + LATE_AFTER_MS)})
        .onConflict()
        .ignore();
    }
    return 'stored';
  });

export const createSeedApp = (parts: SeedParts): Express => {
  const {redis, channel, exchange} = parts;
  const app = express();
  app.use(express.json({limit: '1mb'}));
  app.get('/health', (_request, response) => void response.json({ok: true}));
  app.post('/v1/sync', async (request, response) => {
    const [, deviceId, secret] = CREDENTIAL.exec(request.headers.authorization ?? '') ?? [];
    if (deviceId === undefined || secret === undefined) return void response.status(401).json({error: 'no credential'});
    const device = await findDevice(parts, deviceId);
    const shown = createHash('sha256').update(secret).digest();
    if (device === undefined || device.revoked || !timingSafeEqual(shown, Buffer.from(device.secret_hash, 'hex'))) {
      return void response.status(401).json({error: 'wrong credential'});
    }
    const sync = syncSchema.safeParse(request.body);
    if (!sync.success) return void response.status(400).json({error: z.prettifyError(sync.error)});
    const outcome = await store(parts, device, sync.data);
    if (outcome === 'missing') return void response.status(409).json({error: 'a batch before this one has not come'});
    await redis.del(`seed:device:${deviceId}`);
    const event = {deviceId, batchSeq: sync.data.batchSeq, records: sync.data.records.length};
    channel.publish(exchange, 'sync.completed', Buffer.from(JSON.stringify(event)), {persistent: true});
    response.json({accepted: sync.data.batchSeq, duplicate: outcome === 'duplicate'});
  });
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) next(error);
    else response.status(500).json({error: error instanceof Error ? error.message : String(error)});
  });
  return app;
};
