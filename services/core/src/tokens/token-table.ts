import type pg from 'pg';
import type {AuditActor, AuditedFields} from '../audit/audit-entry.ts';
import {writeAudit} from '../audit/write-audit.ts';
import type {Scope} from '../devices/scope.ts';
import {inTransaction} from '../shards/in-transaction.ts';
import {onceMore} from '../shards/once-more.ts';
import type {Shards} from '../shards/shards.ts';

/** What tokens of both kinds have. Times that are null never come. */
export interface TokenRow {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
}

/** A token that is to be made. */
interface NewToken {
  /** Of version 7: lists show the newest first. */
  readonly id: string;
  readonly hash: Buffer;
  /** Of the call that makes it, where that may be repeated: at most one token is made with it. */
  readonly callHash: Buffer | undefined;
  readonly name: string;
  readonly createdBy: string;
  /** The family of the token that makes it. */
  readonly rootId: string | null;
  readonly expiresAt: Date | null;
}

/** Living tokens of one kind, and those that were made within a day: so who revokes what he makes has no more rows. Those who come at the same moment may be one or two too many. */
export const MOST_TOKENS = {family: 1_000, region: 10_000} as const;

export interface TokenTableOptions<Row, More> {
  readonly table: 'control.enrolment_token' | 'control.api_token';
  /** As the audit says it. */
  readonly kind: 'enrolment-token' | 'api-token';
  /** What the audit says of one beside its name and when it expires. */
  readonly told: (row: Row) => AuditedFields;
  /** SQL: the groups of `t` by number; null: all. */
  readonly groupIds: string;
  /** What is selected of `t` beside what all tokens have. */
  readonly columns: string;
  /** SQL: whether `t` is within the groups of the parameter. */
  readonly isWithin: (groups: string) => string;
  /** What is stored of a new token beside what all tokens have, by column. */
  readonly stored: (token: More) => Readonly<Record<string, unknown>>;
}

/** The tokens of one kind, as people administer them. Each function knows of those alone that are within the scope. */
export interface TokenTable<Row, More> {
  /** The newest first. @param before the last id of the page before */
  list(scope: Scope, page: {readonly before: string | undefined; readonly limit: number}): Promise<readonly Row[]>;
  find(scope: Scope, id: string): Promise<Row | undefined>;
  /** @returns it, or the one that was made by the same call before; undefined when there are {@link MOST_TOKENS} */
  add(token: NewToken & More, actor: AuditActor): Promise<Row | undefined>;
  /** Also one that is revoked already. @returns false when there is none */
  revoke(scope: Scope, id: string, actor: AuditActor): Promise<boolean>;
}

interface Groups {
  readonly groups: readonly number[] | null;
}

// All of it asks the primary: a replica may not know yet of a token that was made a moment ago.
export const createTokenTable = <Row extends TokenRow, More>(
  shards: Shards,
  {table, kind, told, groupIds, columns, isWithin, stored}: TokenTableOptions<Row, More>,
): TokenTable<Row, More> => {
  const select = `select t.token_id as id, t.name, ${columns}, t.created_at as "createdAt", t.created_by as "createdBy",
       t.expires_at as "expiresAt", t.revoked_at as "revokedAt" from ${table} t`;
  const inScope = (parameter: string): string => `(${parameter}::int[] is null or ${isWithin(parameter)})`;
  const hasRoom = (rootId: string): string =>
    `(select count(*) < ${MOST_TOKENS.region} and count(*) filter (where root_id = ${rootId}) < ${MOST_TOKENS.family} from ${table}
      where (revoked_at is null and (expires_at is null or expires_at > now())) or created_at > now() - interval '1 day')`;
  const rows = async (text: string, values: readonly unknown[]): Promise<readonly Row[]> =>
    (await onceMore(() => shards.control('ingest').query<Row>(text, [...values]))).rows;
  const transaction = <T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> =>
    onceMore(() => inTransaction(shards.control('ingest'), work));
  const entryOf = ({id}: Row, {groups}: Groups, actor: AuditActor) => ({
    actor,
    object: {kind, id},
    scope: groups ?? undefined,
  });
  const fieldsOf = (row: Row): AuditedFields => ({name: row.name, ...told(row), expiresAt: row.expiresAt});

  return {
    list: (scope, {before, limit}) =>
      rows(
        `${select} where ${inScope('$1')} and ($2::uuid is null or t.token_id < $2) order by t.token_id desc limit $3`,
        [scope ?? null, before ?? null, limit],
      ),
    async find(scope, id) {
      return (await rows(`${select} where t.token_id = $2 and ${inScope('$1')}`, [scope ?? null, id]))[0];
    },
    async add(token, actor) {
      const values: Readonly<Record<string, unknown>> = {
        token_id: token.id,
        token_hash: token.hash,
        call_hash: token.callHash ?? null,
        name: token.name,
        created_by: token.createdBy,
        root_id: token.rootId,
        expires_at: token.expiresAt,
        ...stored(token),
      };
      const names = Object.keys(values);
      const parameters = names.map((_, index) => `$${index + 1}`);
      return transaction(async (client) => {
        const inserted = await client.query<Groups>(
          `insert into ${table} as t (${names.join(', ')}) select ${parameters.join(', ')}
           where ${hasRoom(`$${names.indexOf('root_id') + 1}`)} on conflict do nothing returning ${groupIds} as groups`,
          Object.values(values),
        );
        // It was made here, also when the answer to a first try was lost, or before.
        const found = await client.query<Row>(`${select} where t.token_id = $1 or t.call_hash = $2`, [
          token.id,
          token.callHash ?? null,
        ]);
        const [made] = found.rows;
        const [groups] = inserted.rows;
        if (made !== undefined && groups !== undefined) {
          await writeAudit(client, {...entryOf(made, groups, actor), action: `${kind}.create`, after: fieldsOf(made)});
        }
        return made;
      });
    },
    revoke: (scope, id, actor) =>
      transaction(async (client) => {
        const revoked = await client.query<Groups>(
          `update ${table} t set revoked_at = now()
           where t.token_id = $2 and ${inScope('$1')} and t.revoked_at is null returning ${groupIds} as groups`,
          [scope ?? null, id],
        );
        const found = await client.query<Row>(`${select} where t.token_id = $2 and ${inScope('$1')}`, [
          scope ?? null,
          id,
        ]);
        const [row] = found.rows;
        const [groups] = revoked.rows;
        if (row !== undefined && groups !== undefined) {
          await writeAudit(client, {...entryOf(row, groups, actor), action: `${kind}.revoke`, before: fieldsOf(row)});
        }
        return row !== undefined;
      }),
  };
};
