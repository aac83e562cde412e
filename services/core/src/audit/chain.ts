import type pg from 'pg';
import {AppError} from '../errors/app-error.ts';
import type {Fence} from '../shards/keeper-term.ts';
import {AUDIT_COLUMNS, type AuditHead, type AuditRow, type ChainedRow, macOf} from './audit-row.ts';

/** Entries of a shard that wait to be chained, in their order. */
export const readOutbox = async (client: pg.ClientBase, limit: number): Promise<readonly AuditRow[]> => {
  const found = await client.query<AuditRow>({
    name: 'audit-outbox',
    text: `select ${AUDIT_COLUMNS} from audit_outbox order by counter limit $1`,
    values: [limit],
  });
  return found.rows;
};

/** The end of the chain. @throws AppError `conflict` when somebody has removed it. */
export const readHead = async (control: Pick<pg.ClientBase, 'query'>): Promise<AuditHead> => {
  const found = await control.query<AuditHead>('select seq, mac from control.audit_head');
  const [head] = found.rows;
  if (head === undefined) throw new AppError('conflict', 'control.audit_head is empty: somebody has removed its row');
  return head;
};

export interface ChainOptions {
  readonly fence: Fence;
  readonly key: string;
  /** The shard that wrote the rows. */
  readonly shard: number;
  readonly rows: readonly AuditRow[];
}

/**
 * Appends entries to the chain, in one transaction. Those that are in it already stay where they are: a keeper that ended before it could say so begins anew.
 * @returns how many were new. @throws AppError `conflict` where another keeper acts, or has appended meanwhile
 */
export const appendToChain = async (
  control: pg.ClientBase,
  {fence, key, shard, rows}: ChainOptions,
): Promise<number> => {
  await control.query('begin');
  await fence(control);
  const head = await readHead(control);
  const known = await control.query<{id: string}>(
    'select entry_id as id from control.audit where entry_id = any($1::uuid[])',
    [rows.map(({id}) => id)],
  );
  const chained = new Set(known.rows.map(({id}) => id));
  let last = head;
  const added = rows
    .filter(({id}) => !chained.has(id))
    .map((row): ChainedRow => {
      const next = {...row, shard, seq: last.seq + 1};
      const signed = {...next, mac: macOf(key, last.mac, next)};
      last = signed;
      return signed;
    });
  if (added.length > 0) {
    await control.query(INSERT, [JSON.stringify(added.map((row) => ({...row, mac: row.mac.toString('hex')})))]);
    const moved = await control.query('update control.audit_head set seq = $3, mac = $4 where seq = $1 and mac = $2', [
      head.seq,
      head.mac,
      last.seq,
      last.mac,
    ]);
    if (moved.rowCount !== 1) throw new AppError('conflict', 'somebody else has appended to the audit chain');
  }
  await control.query('commit');
  return added.length;
};

// JSON travels as text, so that it is stored as it was signed.
const INSERT = `
  insert into control.audit (
    seq, shard, counter, entry_id, at, actor, actor_token, role, action, object_kind, object_id, group_ids, before, after, request_id, address, mac)
  select seq, shard, counter, id, at, actor, "actorToken", role, action, "objectKind", "objectId", "groupIds", before::jsonb, after::jsonb,
         "requestId", address, decode(mac, 'hex')
  from jsonb_to_recordset($1::jsonb) as r (
    seq bigint, shard smallint, counter bigint, id uuid, at timestamptz, actor text, "actorToken" uuid, role text, action text, "objectKind" text,
    "objectId" text, "groupIds" int[], before text, after text, "requestId" text, address text, mac text)`;

/** Removes from a shard what the chain has. */
export const clearOutbox = async (client: pg.ClientBase, rows: readonly AuditRow[]): Promise<void> => {
  await client.query('delete from audit_outbox where entry_id = any($1::uuid[])', [rows.map(({id}) => id)]);
};
