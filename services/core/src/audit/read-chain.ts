import type pg from 'pg';
import {AUDIT_COLUMNS, type AuditHead, type ChainedRow} from './audit-row.ts';
import type {OutboxState} from './verify-chain.ts';

export interface ChainPage {
  /** Of the same moment as the rows; undefined where its row is gone. */
  readonly head: AuditHead | undefined;
  readonly rows: readonly ChainedRow[];
}

type HeadAndRow = {readonly headSeq: number | null; readonly headMac: Buffer | null} & (
  ChainedRow | {readonly seq: null}
);

/** Rows of the chain behind `after`, in its order, and where the chain ends. */
export const readChain = async (control: pg.Pool, after: number, limit: number): Promise<ChainPage> => {
  const found = await control.query<HeadAndRow>({
    name: 'audit-chain',
    text: `select h.seq as "headSeq", h.mac as "headMac", r.*
           from (select) one left join control.audit_head h on true
           left join lateral (
             select ${AUDIT_COLUMNS}, seq, shard, mac from control.audit where seq > $1 order by control.audit.seq limit $2) r on true
           order by r.seq`,
    values: [after, limit],
  });
  const [first] = found.rows;
  const hasHead = first !== undefined && first.headSeq !== null && first.headMac !== null;
  return {
    head: hasHead ? {seq: first.headSeq, mac: first.headMac} : undefined,
    rows: found.rows.filter((row): row is HeadAndRow & ChainedRow => row.seq !== null),
  };
};

/** So many gaps between entries that wait are told of. */
const MOST_GAPS = 20;

/** What a shard has counted and not handed on yet, of one moment. */
export const readOutboxState = async (pool: pg.Pool, shard: number): Promise<OutboxState> => {
  const found = await pool.query<Omit<OutboxState, 'shard'>>({
    name: 'audit-outbox-state',
    text: `select coalesce((select last from audit_counter), 0) as last, count(counter)::int as pending, min(counter) as first, max(counter) as highest,
                  array(select array[before + 1, counter - 1]
                        from (select counter, lag(counter) over (order by counter) as before from audit_outbox) pair
                        where counter > before + 1 order by counter limit ${MOST_GAPS})::float8[] as gaps
           from audit_outbox`,
  });
  const [state] = found.rows;
  if (state === undefined) throw new Error(`shard ${shard} does not say what it has counted`);
  return {shard, ...state};
};
