import {createHash} from 'node:crypto';
import {onceMore} from '../shards/once-more.ts';
import {type Shards} from '../shards/shards.ts';
import type {Scope} from './scope.ts';

/**
 * How tokens, and the secrets of devices, are stored: a leaked database lets nobody in. They are 32 random bytes, so a plain hash without salt or
 * stretching is enough: there is nothing to guess.
 */
export const tokenHash = (token: string): Buffer => createHash('sha256').update(token).digest();

/** What people and scripts may do. */
export type Role = 'viewer' | 'operator' | 'admin' | 'auditor';

/** What an enrolment token gives. */
export interface Admittance {
  /** The group that it admits to. */
  readonly groupId: number;
}

/** Undefined when the token is unknown, expired or revoked. */
export const findEnrolmentToken = async (shards: Shards, hash: Buffer): Promise<Admittance | undefined> => {
  const found = await onceMore(() =>
    shards.control('ingest').query<Admittance>({
      name: 'enrolment-token',
      text: `select group_id as "groupId" from control.enrolment_token
             where token_hash = $1 and revoked_at is null and (expires_at is null or expires_at > now())`,
      values: [hash],
    }),
  );
  return found.rows[0];
};

/**
 * Takes a place of a token, one for a device however often it asks. The token's row is locked while there is room, so no two devices get the last place. A token
 * without room is only read, because whoever has it may ask without end.
 * @returns false when there is none left
 */
export const takePlace = async (shards: Shards, hash: Buffer, deviceId: string): Promise<boolean> => {
  const ask = async (name: string, text: string): Promise<boolean> => {
    const answer = await onceMore(() => shards.control('ingest').query({name, text, values: [hash, deviceId]}));
    return answer.rowCount === 1;
  };
  const isTaken = await ask(
    'enrolment-place',
    `with room as materialized (
       select token_hash from control.enrolment_token t where token_hash = $1 and (max_devices is null or used < max_devices)
         and not exists (select from control.enrolment_place p where p.token_hash = $1 and p.device_id = $2) for update of t),
     place as (
       insert into control.enrolment_place (token_hash, device_id) select token_hash, $2 from room on conflict do nothing returning token_hash)
     update control.enrolment_token t set used = used + 1 from place where t.token_hash = place.token_hash`,
  );
  // It may have been taken before, also by a call that came at the same moment.
  return (
    isTaken ||
    ask('enrolment-place-taken', 'select from control.enrolment_place where token_hash = $1 and device_id = $2')
  );
};

/** Who shows an API token, and what he may do. */
export interface ApiToken {
  /** By which people name it. Null: that of the Secret. */
  readonly id: string | null;
  readonly name: string;
  /** Names its family: the API token that it descends from, or itself, of those that were made with the one of the Secret. Null: that one. */
  readonly rootId: string | null;
  readonly role: Role;
  readonly scope: Scope;
  /** Null: never. */
  readonly expiresAt: Date | null;
}

/** Whose API token this is, or undefined when it is unknown, expired or revoked. */
export const findApiToken = async (shards: Shards, hash: Buffer): Promise<ApiToken | undefined> => {
  const found = await onceMore(() =>
    shards.control('ingest').query<Omit<ApiToken, 'scope'> & {readonly scope: readonly number[] | null}>({
      name: 'api-token',
      text: `select token_id as id, name, coalesce(root_id, token_id) as "rootId", role, group_ids as scope, expires_at as "expiresAt" from control.api_token
             where token_hash = $1 and revoked_at is null and (expires_at is null or expires_at > now())`,
      values: [hash],
    }),
  );
  const row = found.rows[0];
  return row === undefined ? undefined : {...row, scope: row.scope ?? undefined};
};
