/**
 * The design that PiSync is compared with, as a team would write it first: one Express process, one transaction per sync with one
 * insert per record, a cache entry that a sync deletes, an event that is published per sync. It uses the same tables and indexes and
 * gives the same answers about repeats and credentials.
 */
import {createHash, timingSafeEqual} from 'node:crypto';
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
  device_key: z.number(),
  slot: z.number(),
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
      db.raw('device_key::int as device_key'),
      'slot',
      db.raw(`encode(secret_hash, 'hex') as secret_hash`),
      db.raw('revoked_at is not null as revoked'),
    );
  if (found === undefined) return undefined;
  const device = deviceSchema.parse(found);
  await redis.set(`seed:device:${deviceId}`, JSON.stringify(device), 'EX', CACHE_SECONDS);
  return device;
};

/** @returns false when this batch was stored before */
const store = ({db, now}: SeedParts, device: Device, sync: Sync): Promise<boolean> =>
  db.transaction(async (transaction) => {
    const receivedAt = now();
    const receivedDay = receivedAt.toISOString().slice(0, 10);
    const key = {device_key: device.device_key, slot: device.slot, epoch: 1, batch_seq: sync.batchSeq};
    const receipts: unknown[] = await transaction('receipt')
      .insert({
        ...key,
        content_hash: createHash('sha256')
          .update(JSON.stringify([sync.state ?? null, sync.records]))
          .digest(),
        outcome: 'applied',
        record_count: sync.records.length,
        bad_count: 0,
        mode: sync.mode,
        reason: sync.reason ?? null,
        received_day: receivedDay,
        received_at: receivedAt,
      })
      .onConflict(['device_key', 'epoch', 'batch_seq'])
      .ignore()
      .returning('batch_seq');
    if (receipts.length === 0) return false;
    for (const record of sync.records) {
      await transaction('record').insert({
        ...key,
        seq: record.s,
        kind: record.k,
        device_time: typeof record.t === 'number' ? new Date(record.t) : null,
        data: JSON.stringify(record.d ?? null),
        received_day: receivedDay,
        received_at: receivedAt,
      });
    }
    await transaction('device_state')
      .where({device_key: device.device_key})
      .update({
        state: JSON.stringify(sync.state ?? null),
        state_seq: sync.batchSeq,
        applied_through: sync.batchSeq,
        last_sync_at: receivedAt,
        last_seen_at: receivedAt,
        records_total: transaction.raw('records_total + ?', [sync.records.length]),
        syncs_total: transaction.raw('syncs_total + 1'),
      });
    await transaction('device_status')
      .where({device_key: device.device_key})
      .whereNot({status: 'on_time'})
      .update({status: 'on_time', since: receivedAt});
    return true;
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
    const stored = await store(parts, device, sync.data);
    await redis.del(`seed:device:${deviceId}`);
    const event = {deviceId, batchSeq: sync.data.batchSeq, records: sync.data.records.length};
    channel.publish(exchange, 'sync.completed', Buffer.from(JSON.stringify(event)), {persistent: true});
    response.json({accepted: sync.data.batchSeq, duplicate: !stored});
  });
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) next(error);
    else response.status(500).json({error: error instanceof Error ? error.message : String(error)});
  });
  return app;
};
