import {createHash} from 'node:crypto';
import {onceMore} from '../shards/once-more.ts';
import {type Shards} from '../shards/shards.ts';

/**
 * How tokens, and the secrets of devices, are stored: a leaked database lets nobody in. They are 32 random bytes, so a plain hash without salt or
 * stretching is enough: there is nothing to guess.
 */
export const tokenHash = (token: string): Buffer => createHash('sha256').update(token).digest();

/** What people and scripts may do. */
export type Role = 'viewer' | 'operator' | 'admin' | 'auditor';

/** The number of the group that an enrolment token admits to, or undefined when the token is unknown, expired or revoked. */
export const findEnrolmentToken = async (
  shards: Shards,
  hash: Buffer,
): Promise<{readonly groupId: number} | undefined> => {
  const found = await onceMore(() =>
    shards.control('ingest').query<{groupId: number}>({
      name: 'enrolment-token',
      text: `select group_id as "groupId" from control.enrolment_token
             where token_hash = $1 and revoked_at is null and (expires_at is null or expires_at > now())`,
      values: [hash],
    }),
  );
  return found.rows[0];
};

/** Whose API token this is, or undefined when it is unknown or revoked. */
export const findApiToken = async (
  shards: Shards,
  hash: Buffer,
): Promise<{readonly name: string; readonly role: Role} | undefined> => {
  const found = await onceMore(() =>
    shards.control('dashboard').query<{name: string; role: Role}>({
      name: 'api-token',
      text: `select name, role from control.api_token where token_hash = $1 and revoked_at is null`,
      values: [hash],
    }),
  );
  return found.rows[0];
};
