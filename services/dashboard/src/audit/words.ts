import type {AuditEntry} from '../api/types.ts';

/** What was done, by the word of the API. */
export const ACTIONS: Readonly<Record<string, string>> = {
  'session.begin': 'signed in',
  'session.end': 'signed out',
  'enrolment-token.create': 'made an enrolment token',
  'enrolment-token.revoke': 'revoked an enrolment token',
  'api-token.create': 'made an API token',
  'api-token.revoke': 'revoked an API token',
  'device.change': 'changed a device',
  'device.revoke': 'revoked a device',
  'device.decommission': 'decommissioned a device',
  'device.reinstate': 'let a device in again',
  'device.request-sync': 'asked for a sync',
  'group.create': 'made a group',
  'group.change': 'changed a group',
  'group.delete': 'deleted a group',
};

/** A newer server knows more of them. */
export const actionInWords = (action: string): string => ACTIONS[action] ?? action;

export interface Change {
  readonly field: string;
  /** Undefined: there was nothing before, or nothing is there after. */
  readonly from: unknown;
  readonly to: unknown;
}

/** What an entry says of the change, field by field; without those that are not set. */
export const changesOf = ({before, after}: Pick<AuditEntry, 'before' | 'after'>): readonly Change[] => {
  const fields = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]);
  const set = (value: unknown): unknown => (value === null ? undefined : value);
  return [...fields]
    .map((field) => ({field, from: set(before?.[field]), to: set(after?.[field])}))
    .filter(({from, to}) => from !== undefined || to !== undefined);
};
