import type pg from 'pg';
import {AppError} from '../errors/app-error.ts';
import {onOwner} from '../shards/on-owner.ts';
import {type Shards} from '../shards/shards.ts';
import {withOwnedSlots} from '../shards/slot-transaction.ts';
import {findDeviceContext} from './credentials.ts';
import {type DeviceKeys} from './device-keys.ts';

export interface EnrolmentRequest {
  readonly deviceId: string;
  readonly hardwareId: string;
  /** sha256 of the secret that the device made, 32 bytes. */
  readonly secretHash: Buffer;
  readonly groupId: number;
  readonly name?: string | undefined;
  readonly model?: string | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

/**
 * `created`: a new device. `repeated`: the same secret again, nothing changed. `replaced`: another secret, so the card was
 * re-imaged: a new epoch. `revoked`: an administrator shut the device out, and a group's token does not let it in again.
 */
export type Enrolment =
  | {
      readonly kind: 'created' | 'repeated' | 'replaced';
      readonly deviceKey: number;
      readonly slot: number;
      readonly epoch: number;
    }
  | {readonly kind: 'revoked'};

interface KnownDevice {
  readonly deviceKey: number;
  readonly epoch: number;
  readonly secretHash: Buffer;
  readonly revoked: boolean;
}

/** Enrols a device, or answers a repeated enrolment as the first was answered. */
export const enrol = async (shards: Shards, keys: DeviceKeys, request: EnrolmentRequest): Promise<Enrolment> => {
  const slot = shards.slotOf(request.deviceId);
  // The key is taken before the transaction begins: fetching a block of keys needs a connection of the same pool, and
  // transactions that hold all of them would wait for it for ever.
  const known = await findDeviceContext(shards, request.deviceId);
  const newKey = known === undefined ? await keys.next(slot) : undefined;
  return onOwner(shards, slot, async (shardId) =>
    withOwnedSlots(shards.pool(shardId, 'ingest'), [slot], async (client) => {
      if (newKey !== undefined && (await insertDevice(client, newKey, request))) {
        return {kind: 'created', deviceKey: newKey, slot, epoch: 1};
      }
      // It was there, or another enrolment of the same device committed in between and is visible to the next statement.
      const found = await findForUpdate(client, request.deviceId);
      if (found === undefined)
        throw new AppError('internal', `device ${request.deviceId} was neither inserted nor found`);
      return reEnrol(client, found, slot, request);
    }),
  );
};

const findForUpdate = async (client: pg.PoolClient, deviceId: string): Promise<KnownDevice | undefined> => {
  const found = await client.query<KnownDevice>({
    name: 'enrol-find',
    text: `select device_key as "deviceKey", epoch, secret_hash as "secretHash", revoked_at is not null as revoked
           from device where device_id = $1 for update`,
    values: [deviceId],
  });
  return found.rows[0];
};

const reEnrol = async (
  client: pg.PoolClient,
  known: KnownDevice,
  slot: number,
  request: EnrolmentRequest,
): Promise<Enrolment> => {
  const {deviceKey, epoch} = known;
  if (known.revoked) return {kind: 'revoked'};
  if (known.secretHash.equals(request.secretHash)) return {kind: 'repeated', deviceKey, slot, epoch};
  await client.query({
    name: 'enrol-replace',
    text: `update device set secret_hash = $2, epoch = $3, name = coalesce($4, name), model = coalesce($5, model),
                  tags = coalesce($6, tags), revision = revision + 1, re_enrolments = re_enrolments + 1, re_enrolled_at = now(),
                  tx_id = pg_current_xact_id()::text::bigint
           where device_key = $1`,
    values: [
      deviceKey,
      request.secretHash,
      epoch + 1,
      request.name ?? null,
      request.model ?? null,
      request.tags === undefined ? null : JSON.stringify(request.tags),
    ],
  });
  return {kind: 'replaced', deviceKey, slot, epoch: epoch + 1};
};

/** False when the device exists already. */
const insertDevice = async (
  client: pg.PoolClient,
  deviceKey: number,
  {deviceId, hardwareId, secretHash, groupId, name, model, tags}: EnrolmentRequest,
): Promise<boolean> => {
  const inserted = await client.query({
    name: 'enrol-insert',
    text: `insert into device (device_key, device_id, hardware_id, secret_hash, name, model, tags)
           values ($1, $2, $3, $4, $5, $6, $7) on conflict (device_id) do nothing`,
    values: [deviceKey, deviceId, hardwareId, secretHash, name ?? null, model ?? null, JSON.stringify(tags ?? {})],
  });
  if (inserted.rowCount === 0) return false;
  await client.query({
    name: 'enrol-insert-state',
    text: 'insert into device_state (device_key, epoch) values ($1, 1)',
    values: [deviceKey],
  });
  await client.query({
    name: 'enrol-insert-status',
    text: `insert into device_status (device_key, device_id, group_id, status) values ($1, $2, $3, 'pending')`,
    values: [deviceKey, deviceId, groupId],
  });
  return true;
};
