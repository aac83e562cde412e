import {createHmac, timingSafeEqual} from 'node:crypto';

/** An entry as a shard wrote it. Whatever is signed is text, or a small number, as the database says it. */
export interface AuditRow {
  readonly id: string;
  /** Of the shard that wrote it. */
  readonly counter: number;
  /** UTC, to the microsecond. */
  readonly at: string;
  readonly actor: string;
  readonly actorToken: string | null;
  readonly role: string;
  readonly action: string;
  readonly objectKind: string;
  readonly objectId: string;
  readonly groupIds: readonly number[] | null;
  /** JSON. */
  readonly before: string | null;
  readonly after: string | null;
  readonly requestId: string | null;
  readonly address: string | null;
}

/** Selects an AuditRow of both tables. */
export const AUDIT_COLUMNS = `
  entry_id as id, counter, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, actor, actor_token as "actorToken", role, action,
  object_kind as "objectKind", object_id as "objectId", group_ids as "groupIds", before::text as before, after::text as after,
  request_id as "requestId", address`;

/** Where a chain ends, or how far it was followed. */
export interface AuditHead {
  /** 0: nothing was chained yet. */
  readonly seq: number;
  readonly mac: Buffer;
}

/** A row of the chain. */
export interface ChainedRow extends AuditRow {
  readonly seq: number;
  readonly shard: number;
  readonly mac: Buffer;
}

export const NO_MAC = Buffer.alloc(32);

/** Signs a row together with the one before it (HMAC-SHA256): who has no key can neither change a row nor take one out unseen. */
export const macOf = (key: string, before: Buffer, row: Omit<ChainedRow, 'mac'>): Buffer =>
  createHmac('sha256', key)
    .update(before)
    .update(
      JSON.stringify([
        ...[row.seq, row.shard, row.counter, row.id, row.at, row.actor, row.actorToken, row.role, row.action],
        ...[row.objectKind, row.objectId, row.groupIds, row.before, row.after, row.requestId, row.address],
      ]),
    )
    .digest();

export const isSameMac = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b);

/** As the log of the keeper has it, and people give it back. */
export const headText = ({seq, mac}: AuditHead): string => `${seq}:${mac.toString('hex')}`;

const HEAD = /^(\d{1,15}):([0-9a-f]{64})$/;

/** Undefined for what is none. */
export const parseHead = (text: string): AuditHead | undefined => {
  const [, seq, mac] = HEAD.exec(text) ?? [];
  return seq === undefined || mac === undefined ? undefined : {seq: Number(seq), mac: Buffer.from(mac, 'hex')};
};
