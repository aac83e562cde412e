import type pg from 'pg';
import {AppError} from '../errors/app-error.ts';
import {allAnswered, inOneGo} from '../shards/all-answered.ts';
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
  /** Asked before a new device is let in; false: there is no room for it. May be asked again for the same device. */
  readonly takePlace?: (() => Promise<boolean>) | undefined;
  /** Asked before the row of a device is locked that has another secret; what it throws ends the enrolment. */
  readonly beforeAgain?: (() => Promise<void>) | undefined;
}

/** `created`: a new device. `repeated`: the same secret again, nothing changed. `replaced`: another secret, so the card was re-imaged: a new epoch. */
export interface Enrolled {
  readonly kind: 'created' | 'repeated' | 'replaced';
  readonly deviceKey: number;
  readonly slot: number;
  readonly epoch: number;
}

/**
 * `revoked`: an administrator shut the device out, and a group's token does not let it in again. `no-place`: its token has no room for another device.
 * `other-group`: the device is there, with another secret, in a group that the token is not for. `secret-replaced`: its secret was
 * followed by another one, so this call came late or the device has an old copy of its storage. `too-often`: it had as many secrets as it may have by now.
 */
export type Refused =
  | {readonly kind: 'refused'; readonly why: 'revoked' | 'no-place' | 'other-group' | 'secret-replaced'}
  | {readonly kind: 'refused'; readonly why: 'too-often'; readonly retryAfterSeconds: number};

export type Enrolment = Enrolled | Refused;

/** A device may have so many new secrets at once, and one an hour after that. A card is re-imaged a few times while somebody sets it up. */
const SECRETS_AT_ONCE = 10;
/** That many of late are no accident: two machines that share a hardware id take the device from each other. */
const SECRETS_IN_DISPUTE = 4;
const HOUR_S = 3600;
/** Where shard 0 was restored from a backup the keys that it hands out are used already in other shards: of each slot one in a thousand or so. */
const MAX_KEYS = 5;
/** As many as a day may bring. No network delivers a call later than that. */
const KEPT_SECRETS = SECRETS_AT_ONCE + 24;

interface KnownDevice {
  readonly deviceKey: number;
  readonly epoch: number;
  readonly secretHash: Buffer;
  readonly revoked: boolean;
  /** Whether the secret of the request is one that it had before. */
  readonly isReplaced: boolean;
  /** What is still to be paid for secrets that it had, an hour each. */
  readonly owedSeconds: number;
}

/** Enrols a device, or answers a repeated enrolment as the first was answered. */
export const enrol = async (shards: Shards, keys: DeviceKeys, request: EnrolmentRequest): Promise<Enrolment> => {
  const slot = shards.slotOf(request.deviceId);
  // Key and place are taken before the transaction begins: they may need a connection of the same pool, and
  // transactions that hold all of them would wait for it for ever.
  const known = await findDeviceContext(shards, request.deviceId);
  // Nothing is written in these two cases, so nobody who repeats it all the time holds up a row, or connections that others wait for.
  if (known?.credential.revoked === true) return {kind: 'refused', why: 'revoked'};
  if (known?.credential.secretHash.equals(request.secretHash) === true) {
    const {deviceKey, epoch} = known.credential;
    return {kind: 'repeated', deviceKey, slot, epoch};
  }
  const inSlot = <T>(work: (client: pg.PoolClient, commit: () => Promise<void>) => Promise<T>): Promise<T> =>
    onOwner(shards, slot, (shardId) => withOwnedSlots(shards.pool(shardId, 'ingest'), [slot], work));
  if (known === undefined) {
    if ((await request.takePlace?.()) === false) return {kind: 'refused', why: 'no-place'};
    const deviceKey = await makeDevice(keys, slot, (key) =>
      inSlot((client, commit) => insertDevice(client, key, request, commit)),
    );
    if (deviceKey !== undefined) return {kind: 'created', deviceKey, slot, epoch: 1};
    // Another enrolment of the same device came in between.
  }
  await request.beforeAgain?.();
  return inSlot(async (client) => {
    const found = await findForUpdate(client, request);
    if (found === undefined) throw new AppError('internal', `device ${request.deviceId} was there and is gone`);
    return reEnrol(client, found, slot, request);
  });
};

/** @returns the key that the device has; undefined when it was there already */
const makeDevice = async (
  keys: DeviceKeys,
  slot: number,
  insert: (deviceKey: number) => Promise<Inserted>,
): Promise<number | undefined> => {
  for (let tried = 0; tried < MAX_KEYS; tried++) {
    const deviceKey = await keys.next(slot);
    const inserted = await insert(deviceKey);
    if (inserted !== 'key-used') return inserted === 'made' ? deviceKey : undefined;
    keys.skipBlock();
  }
  throw new AppError(
    'internal',
    `each of ${MAX_KEYS} new device keys is another device's: control.device_key_block is behind; see VolumeReplaced in the runbook`,
  );
};

const findForUpdate = async (
  client: pg.PoolClient,
  {deviceId, secretHash}: EnrolmentRequest,
): Promise<KnownDevice | undefined> => {
  const found = await client.query<KnownDevice>({
    name: 'enrol-find',
    text: `select device_key as "deviceKey", epoch, secret_hash as "secretHash", revoked_at is not null as revoked,
                  $2 = any(replaced_secrets) as "isReplaced",
                  coalesce(greatest(extract(epoch from re_enrolments_paid_at - now()), 0), 0)::float8 as "owedSeconds"
           from device where device_id = $1 for update`,
    values: [deviceId, secretHash],
  });
  return found.rows[0];
};

const reEnrol = async (
  client: pg.PoolClient,
  known: KnownDevice,
  slot: number,
  request: EnrolmentRequest,
): Promise<Enrolment> => {
  const {deviceKey, epoch, owedSeconds} = known;
  if (known.revoked) return {kind: 'refused', why: 'revoked'};
  // Whoever has the secret is the device, whatever token it shows.
  if (known.secretHash.equals(request.secretHash)) return {kind: 'repeated', deviceKey, slot, epoch};
  if (known.isReplaced) return {kind: 'refused', why: 'secret-replaced'};
  const refusal = await refusalOf(client, known, request);
  if (refusal !== undefined) {
    await noteDispute(client, deviceKey);
    return refusal;
  }
  await client.query({
    name: 'enrol-replace',
    text: `update device set secret_hash = $2, replaced_secrets = (secret_hash || replaced_secrets)[1:${KEPT_SECRETS}], epoch = $3, name = coalesce($4, name), model = coalesce($5, model),
                  tags = coalesce($6, tags), revision = revision + 1, re_enrolments = re_enrolments + 1, re_enrolled_at = now(),
                  re_enrolments_paid_at = greatest(re_enrolments_paid_at, now()) + interval '${HOUR_S} s',
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
  if (owedSeconds > (SECRETS_IN_DISPUTE - 2) * HOUR_S) await noteDispute(client, deviceKey);
  return {kind: 'replaced', deviceKey, slot, epoch: epoch + 1};
};

const refusalOf = async (
  client: pg.PoolClient,
  {deviceKey, owedSeconds}: KnownDevice,
  {groupId}: EnrolmentRequest,
): Promise<Refused | undefined> => {
  const found = await client.query<{isOfGroup: boolean}>({
    name: 'enrol-group',
    text: 'select group_id = $2 as "isOfGroup" from device_status where device_key = $1',
    values: [deviceKey, groupId],
  });
  if (found.rows[0]?.isOfGroup !== true) return {kind: 'refused', why: 'other-group'};
  const tooMuchSeconds = owedSeconds - (SECRETS_AT_ONCE - 1) * HOUR_S;
  if (tooMuchSeconds <= 0) return undefined;
  return {kind: 'refused', why: 'too-often', retryAfterSeconds: Math.ceil(tooMuchSeconds)};
};

/** For a day from the last time. Not written each time, because whoever is refused may try as often as he likes. */
const noteDispute = async (client: pg.PoolClient, deviceKey: number): Promise<void> => {
  await client.query({
    name: 'enrol-dispute',
    text: `update device set disputed_until = now() + interval '24 h', tx_id = pg_current_xact_id()::text::bigint
           where device_key = $1 and coalesce(disputed_until, '-infinity') < now() + interval '23 h'`,
    values: [deviceKey],
  });
};

type Inserted = 'made' | 'is-there' | 'key-used';

/** All its rows in one statement that goes with the commit: a fleet that is switched on enrols at once, and each round trip keeps a connection from the next device. */
const insertDevice = async (
  client: pg.PoolClient,
  deviceKey: number,
  {deviceId, hardwareId, secretHash, groupId, name, model, tags}: EnrolmentRequest,
  commit: () => Promise<void>,
): Promise<Inserted> => {
  const [inserted] = await allAnswered(
    inOneGo(
      client,
      () =>
        [
          client.query({
            name: 'enrol-insert',
            // A new device is in every list at once.
            text: `with made as (
                     insert into device (device_key, device_id, hardware_id, secret_hash, name, model, tags)
                     values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing returning device_key, device_id),
                   state as (insert into device_state (device_key, device_id, epoch) select device_key, device_id, 1 from made),
                   status as (
                     insert into device_status (device_key, device_id, group_id, status) select device_key, device_id, $8, 'pending' from made),
                   recency as (
                     insert into device_recency (device_key, device_id) select device_key, device_id from made on conflict (device_key) do nothing)
                   select from made`,
            values: [
              ...[deviceKey, deviceId, hardwareId, secretHash, name ?? null, model ?? null],
              ...[JSON.stringify(tags ?? {}), groupId],
            ],
          }),
          commit(),
        ] as const,
    ),
  );
  if (inserted.rowCount === 1) return 'made';
  const found = await client.query({
    name: 'enrol-is-there',
    text: 'select from device where device_id = $1',
    values: [deviceId],
  });
  return found.rowCount === 0 ? 'key-used' : 'is-there';
};
