import type pg from 'pg';
import type {Fence} from '../shards/keeper-term.ts';
import {withConnection} from '../shards/with-connection.ts';

export interface RemoveEndedOptions {
  readonly fence: Fence;
  /** When it aborts the connection is cut. */
  readonly signal?: AbortSignal;
}

/** Long enough to ask what a token was, after it was revoked in haste. */
const KEPT_DAYS = 30;
/** Rows per transaction: short enough that no enrolment waits for long. */
const CHUNK = 2000;

const hasEnded = `least(t.revoked_at, t.expires_at) < now() - interval '${KEPT_DAYS} days'`;

/** In this order, because a token takes its places with it, and one may have millions. */
const STEPS = [
  `delete from control.enrolment_place where ctid = any(array(
     select p.ctid from control.enrolment_token t join control.enrolment_place p on p.token_hash = t.token_hash
     where ${hasEnded} limit ${CHUNK}))`,
  `delete from control.enrolment_token where token_hash in (
     select t.token_hash from control.enrolment_token t
     where ${hasEnded} and not exists (select from control.enrolment_place p where p.token_hash = t.token_hash) limit ${CHUNK})`,
  `delete from control.api_token where token_hash in (select t.token_hash from control.api_token t where ${hasEnded} limit ${CHUNK})`,
  // Its tokens are gone by then.
  `delete from control.device_group where group_id in (
     select g.group_id from control.device_group g where g.deleted_at < now() - interval '${KEPT_DAYS} days'
       and not exists (select from control.enrolment_token t where t.group_id = g.group_id) limit ${CHUNK})`,
];

/**
 * Removes tokens of both kinds that were revoked, or expired, a month ago, and groups that were deleted then. What descends from a token stays, and so do the devices that it let in.
 * @param pool of shard 0
 * @returns how many rows went, places too
 */
export const removeEndedTokens = (pool: pg.Pool, {fence, signal}: RemoveEndedOptions): Promise<number> =>
  withConnection(pool, signal, async (client) => {
    let removed = 0;
    for (const step of STEPS) {
      for (let more = true; more;) {
        await client.query('begin');
        await fence(client);
        const count = (await client.query(step)).rowCount ?? 0;
        await client.query('commit');
        removed += count;
        more = count === CHUNK;
      }
    }
    return removed;
  });
