import type pg from 'pg';
import {onceMore} from '../shards/once-more.ts';
import type {Shards} from '../shards/shards.ts';
import {type AuditEntry, boundedFields, boundedText} from './audit-entry.ts';

/**
 * Tells what somebody does, in the transaction that does it: both are there, or neither. It is to be the last statement before the commit, because entries of a
 * shard are counted without gaps, and the next one waits for the end of this transaction. A call that finds its change made already, by an earlier try, tells nothing.
 * @param client of the transaction; a pool where there is nothing else to do
 */
export const writeAudit = async (
  client: Pick<pg.ClientBase | pg.Pool, 'query'>,
  {actor, action, object, scope, before, after}: AuditEntry,
): Promise<void> => {
  await client.query({
    name: 'audit-entry',
    text: `with next as (
             insert into audit_counter (last) values (1) on conflict (one) do update set last = audit_counter.last + 1 returning last)
           insert into audit_outbox (counter, actor, actor_token, role, action, object_kind, object_id, group_ids, before, after, request_id, address)
           select last, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 from next`,
    values: [
      boundedText(actor.name),
      actor.tokenId,
      actor.role,
      action,
      object.kind,
      boundedText(object.id),
      scope ?? null,
      boundedFields(before),
      boundedFields(after),
      actor.requestId ?? null,
      actor.address ?? null,
    ],
  });
};

/** Tells of something in a slot what changes no row of it. Where an answer of the database is lost it may be told twice. */
export const writeAuditOfSlot = (shards: Shards, slot: number, entry: AuditEntry): Promise<void> =>
  onceMore(() => writeAudit(shards.pool(shards.slotMap.shardOf(slot), 'ingest'), entry));
