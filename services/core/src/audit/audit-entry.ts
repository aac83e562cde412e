import type {Role} from '../devices/tokens.ts';
import type {Scope} from '../devices/scope.ts';

/** Who does something, and how he came. */
export interface AuditActor {
  /** Name of the API token that was sent, or that stands behind the session. */
  readonly name: string;
  /** Null: the administrator's token of the Secret. */
  readonly tokenId: string | null;
  readonly role: Role;
  /** The request as answer and log name it. */
  readonly requestId: string | undefined;
  /** Where it came from, as the nearest proxy says. */
  readonly address: string | undefined;
}

/** What people do that is told. Names stay for ever: a year of rows has them. */
export type AuditAction =
  | 'session.begin'
  | 'session.end'
  | 'enrolment-token.create'
  | 'enrolment-token.revoke'
  | 'api-token.create'
  | 'api-token.revoke'
  | 'device.change'
  | 'device.revoke'
  | 'device.decommission'
  | 'device.reinstate'
  | 'device.request-sync'
  | 'group.create'
  | 'group.change'
  | 'group.delete';

type AuditedKind = 'session' | 'enrolment-token' | 'api-token' | 'device' | 'group';

type AuditedValue =
  string | number | boolean | Date | null | readonly string[] | Readonly<Record<string, string | null>>;

/** The fields that may be told. No secret is among them: who adds one has to think of that. */
type AuditedField =
  | 'name'
  | 'group'
  | 'groups'
  | 'role'
  | 'tags'
  | 'filter'
  | 'expiresAt'
  | 'maxDevices'
  | 'standing'
  | 'syncType'
  | 'priority'
  | 'requestId';

/** What an object is like, as far as it is told. Long values are cut. */
export type AuditedFields = Readonly<Partial<Record<AuditedField, AuditedValue>>>;

/** One thing that somebody did. */
export interface AuditEntry {
  readonly actor: AuditActor;
  readonly action: AuditAction;
  readonly object: {readonly kind: AuditedKind; readonly id: string};
  /** The groups that it concerns; whoever may not know all of them does not see it. Undefined: the region as a whole. */
  readonly scope: Scope;
  /** What the change took away. */
  readonly before?: AuditedFields;
  /** What it put there. */
  readonly after?: AuditedFields;
}

/** Of a text. A name has at most 128 characters, a tag less. */
const MAX_CHARS = 256;
/** Of a filter: who reads what it was wants all of it. */
const MAX_FILTER_CHARS = 6000;
/** Of a list or of tags. */
const MAX_PARTS = 64;
/** Of `before` and `after` each, as JSON: more than all tags of a device. */
const MAX_BYTES = 16 * 1024;

/** As the database takes it: within the bound, and without what it cannot store. */
export const boundedText = (text: string, maxChars = MAX_CHARS): string =>
  (text.length > maxChars ? `${text.slice(0, maxChars)}…` : text).toWellFormed().replaceAll('\0', '\ufffd');

const boundedValue = (field: string, value: AuditedValue): unknown => {
  if (typeof value === 'string') return boundedText(value, field === 'filter' ? MAX_FILTER_CHARS : MAX_CHARS);
  if (value === null || typeof value !== 'object' || value instanceof Date) return value;
  if (isList(value)) return value.slice(0, MAX_PARTS).map((text) => boundedText(text));
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, MAX_PARTS)
      .map(([key, text]) => [boundedText(key), text === null ? null : boundedText(text)]),
  );
};

/** `Array.isArray` does not tell a readonly list from a record. */
const isList = (value: readonly string[] | Readonly<Record<string, string | null>>): value is readonly string[] =>
  Array.isArray(value);

/** The fields as JSON, within the bounds. Of what is too long all the same, how long it is. */
export const boundedFields = (fields: AuditedFields | undefined): string | null => {
  if (fields === undefined) return null;
  const bounded = Object.entries(fields).map(([field, value]) => [field, boundedValue(field, value)] as const);
  const text = JSON.stringify(Object.fromEntries(bounded));
  const bytes = Buffer.byteLength(text);
  return bytes <= MAX_BYTES ? text : JSON.stringify({leftOutBytes: bytes});
};
