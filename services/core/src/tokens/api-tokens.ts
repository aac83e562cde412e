import type {Scope} from '../devices/scope.ts';
import type {Role} from '../devices/tokens.ts';
import type {Shards} from '../shards/shards.ts';
import {createTokenTable, type TokenRow, type TokenTable} from './token-table.ts';

export interface ApiTokenRow extends TokenRow {
  readonly role: Role;
  /** Names of the groups that it is for; null: all. */
  readonly groups: readonly string[] | null;
  readonly state: 'valid' | 'expired' | 'revoked';
}

interface NewApiToken {
  readonly role: Role;
  readonly scope: Scope;
}

export type ApiTokenTable = TokenTable<ApiTokenRow, NewApiToken>;

export const createApiTokens = (shards: Shards): ApiTokenTable =>
  createTokenTable(shards, {
    table: 'control.api_token',
    kind: 'api-token',
    told: ({role, groups}) => ({role, groups}),
    groupIds: 't.group_ids',
    columns: `t.role,
       case when t.group_ids is not null then
         array(select g.name from control.device_group g where g.group_id = any(t.group_ids) order by g.name) end as groups,
       case when t.revoked_at is not null then 'revoked' when t.expires_at <= now() then 'expired' else 'valid' end as state`,
    isWithin: (groups) => `t.group_ids <@ ${groups}`,
    stored: ({role, scope}) => ({role, group_ids: scope ?? null}),
  });
