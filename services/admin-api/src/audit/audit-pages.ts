import {z} from 'zod';
import {
  type AuditPlace,
  type AuditQuery,
  listChained,
  listPending,
  type ListedRow,
} from '@pisync/core/audit/audit-list';
import type {Shards} from '@pisync/core/shards/shards';
import type {AskShards} from '../paging/fan-out.ts';
import {positionsSchema} from '../paging/cursors.ts';
import {mergePages, type Positions} from '../paging/merge.ts';

/** A page of the audit: what is chained, and what the shards have that is not. */
export interface AuditPage {
  readonly rows: readonly ListedRow[];
  readonly hasNextPage: boolean;
  readonly positions: Positions<AuditPlace>;
  /** Shards that do not say what waits there. */
  readonly missing: readonly number[];
}

export type ReadAuditPage = (query: AuditQuery, before: Positions<AuditPlace>, limit: number) => Promise<AuditPage>;

/** Of the chain, beside the shards. */
const CHAIN = -1;

export const auditPositions = positionsSchema(z.object({at: z.string(), id: z.uuid()}));

/** Newest first. Times are text of one length. */
const compare = (a: AuditPlace, b: AuditPlace): number => {
  if (a.at !== b.at) return a.at > b.at ? -1 : 1;
  return a.id === b.id ? 0 : a.id > b.id ? -1 : 1;
};

export const createAuditPages =
  ({shards, askShards}: {readonly shards: Shards; readonly askShards: AskShards}): ReadAuditPage =>
  async (query, before, limit) => {
    const asked = limit + 1;
    const {answers, missing} = await askShards(shards.ids(), (shard) =>
      listPending(shards.pool(shard, 'dashboard'), shard, query, before.get(shard), asked),
    );
    const chained = await listChained(shards.control('ingest'), query, before.get(CHAIN), asked);
    const known = new Set(chained.rows.map(({id}) => id));
    const pages = [
      {shard: CHAIN, rows: chained.rows, end: chained.end},
      ...answers.map(({shard, value}) => ({
        shard,
        rows: value.rows.filter(({id}) => !known.has(id)),
        end: value.end,
      })),
    ];
    const {rows, hasNextPage, positions} = mergePages<ListedRow, AuditPlace>(pages, {
      placeOf: ({at, id}) => ({at, id}),
      compare,
      limit,
      before,
    });
    return {rows, hasNextPage, positions, missing};
  };
