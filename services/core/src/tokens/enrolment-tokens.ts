import type {Shards} from '../shards/shards.ts';
import {createTokenTable, type TokenRow, type TokenTable} from './token-table.ts';

export interface EnrolmentTokenRow extends TokenRow {
  /** Name of the group that it admits to. */
  readonly group: string;
  /** Null: no limit. */
  readonly maxDevices: number | null;
  /** How many it has let in. */
  readonly devices: number;
  readonly state: 'valid' | 'used-up' | 'expired' | 'revoked';
}

interface NewEnrolmentToken {
  readonly groupId: number;
  readonly maxDevices: number | null;
}

export type EnrolmentTokens = TokenTable<EnrolmentTokenRow, NewEnrolmentToken>;

export const createEnrolmentTokens = (shards: Shards): EnrolmentTokens =>
  createTokenTable(shards, {
    table: 'control.enrolment_token',
    kind: 'enrolment-token',
    told: ({group, maxDevices}) => ({group, maxDevices}),
    groupIds: 'array[t.group_id]',
    columns: `(select g.name from control.device_group g where g.group_id = t.group_id) as "group",
       t.max_devices as "maxDevices", t.used as devices,
       case when t.revoked_at is not null then 'revoked' when t.expires_at <= now() then 'expired'
            when t.used >= t.max_devices then 'used-up' else 'valid' end as state`,
    isWithin: (groups) => `t.group_id = any(${groups})`,
    stored: ({groupId, maxDevices}) => ({group_id: groupId, max_devices: maxDevices}),
  });
