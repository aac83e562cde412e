/** What admin-api answers, as far as the page shows it. The whole is at /api/v1/openapi.json. */

export const STATUSES = ['on_time', 'late', 'silent', 'failing', 'pending'] as const;
export type Status = (typeof STATUSES)[number];

export const ROLES = ['viewer', 'operator', 'auditor', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export interface Session {
  /** Of the API token; null: that of the Secret. */
  readonly id: string | null;
  readonly name: string;
  readonly role: Role;
  /** Null: all. */
  readonly groups: readonly string[] | null;
  readonly region: string;
  readonly csrfToken: string;
  readonly expiresAt: string | null;
}

/** One page of a list. `partial` names the shards that did not answer. */
export interface Page<Row> {
  readonly data: readonly Row[];
  readonly hasNextPage: boolean;
  readonly nextCursor: string | null;
  readonly asOf: string;
  readonly partial?: readonly string[];
  /** The order is of then, where it is older than the rows; null: no keeper has sorted them yet. */
  readonly sortedAsOf?: string | null;
  /** Of the whole list; on its first page. */
  readonly count?: {readonly value: number; readonly exact: boolean; readonly atLeast: boolean};
}

export interface DeviceRow {
  readonly id: string;
  readonly name?: string | null;
  readonly group?: string;
  readonly status?: Status;
  readonly model?: string | null;
  readonly lastSyncAt?: string | null;
  readonly lastSeenAt?: string | null;
  readonly recordsTotal?: number;
  readonly syncsTotal?: number;
  readonly enrolledAt?: string;
  readonly shard?: number;
}

export interface Device extends Required<DeviceRow> {
  readonly hardwareId: string;
  readonly tags: Readonly<Record<string, unknown>>;
  readonly statusSince: string;
  readonly state: Readonly<Record<string, unknown>> | null;
  readonly epoch: string;
  readonly appliedThrough: number;
  readonly revokedAt: string | null;
  /** It is revoked as well. */
  readonly decommissionedAt: string | null;
  /** Grows with each change of what people may change. */
  readonly revision: number;
  readonly reEnrolledAt: string | null;
  readonly reEnrolments: number;
  readonly disputedUntil: string | null;
  readonly slot: number;
}

export interface OneDevice {
  readonly data: Device;
  readonly asOf: string;
}

export interface Sync {
  readonly epoch: string;
  readonly batchSeq: number;
  readonly outcome: 'applied' | 'rejected';
  readonly recordCount: number;
  readonly badCount: number;
  readonly mode: string;
  readonly reason: string | null;
  readonly receivedAt: string;
  readonly appliedAt: string;
}

export interface DeviceRecord {
  readonly epoch: string;
  readonly batchSeq: number;
  readonly ordinal: number;
  readonly seq: number;
  readonly kind: string;
  readonly deviceTime: string | null;
  readonly badTime: boolean;
  readonly receivedAt: string;
  readonly data: unknown;
}

export interface DeviceCommand {
  readonly id: string;
  readonly requestId: string;
  readonly type: string;
  readonly priority: string;
  readonly state: 'queued' | 'delivered' | 'done' | 'expired';
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly deliveredAt: string | null;
  readonly doneAt: string | null;
}

interface Token {
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly expiresAt: string | null;
  readonly revokedAt: string | null;
}

export interface EnrolmentToken extends Token {
  readonly group: string;
  readonly maxDevices: number | null;
  readonly devices: number;
  readonly state: 'valid' | 'used-up' | 'expired' | 'revoked';
}

export interface ApiToken extends Token {
  readonly role: Role;
  /** Null: all. */
  readonly groups: readonly string[] | null;
  readonly state: 'valid' | 'expired' | 'revoked';
}

/** What a group is called, and whether devices are in it or found by its filter. */
export interface GroupName {
  readonly id: number;
  readonly name: string;
  readonly kind: 'static' | 'dynamic';
}

export interface Group extends GroupName {
  /** Null: it is static. */
  readonly filter: string | null;
  /** Grows with each change. */
  readonly revision: number;
  readonly count: {
    readonly value: number;
    readonly exact: boolean;
    readonly atLeast: boolean;
    readonly byStatus: Counts;
  };
}

/** One thing that somebody did. */
export interface AuditEntry {
  readonly id: string;
  /** Null: not in the chain yet. */
  readonly seq: number | null;
  readonly at: string;
  readonly actor: string;
  readonly actorTokenId: string | null;
  readonly role: string;
  readonly action: string;
  readonly objectKind: string;
  readonly objectId: string;
  /** Null: the region as a whole. */
  readonly groups: readonly string[] | null;
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
  readonly address: string | null;
}

export interface AuditFinding {
  readonly kind: string;
  readonly detail: string;
}

/** What one call found in its part of the chain. */
export interface AuditCheck {
  readonly checked: {readonly fromSeq: number; readonly toSeq: number} | null;
  readonly findings: readonly AuditFinding[];
  readonly moreFindings: boolean;
  readonly head: string;
  readonly nextCursor: string | null;
  readonly pending: number | null;
  readonly unchecked: readonly string[];
}

/** The one answer that has the token itself. */
export interface MadeToken {
  readonly token: string;
  readonly command?: string | null;
}

export type Counts = Readonly<Record<Status, number>>;

export interface Summary {
  readonly region: string;
  readonly devices: number;
  readonly byStatus: Counts;
  readonly byGroup: readonly {readonly group: string; readonly devices: number; readonly byStatus: Counts}[];
  readonly byShard: readonly {
    readonly shard: number;
    readonly devices: number;
    readonly byStatus: Counts;
    readonly asOf: string;
  }[];
  /** Shards that did not answer: counted as they were, or missing where `byShard` has none. */
  readonly partial?: readonly string[];
  readonly asOf: string;
  readonly ageSeconds: number;
}

/** RFC 9457, as admin-api writes it. */
export interface Problem {
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly code?: string;
  /** A number where it is a group. */
  readonly id?: string | number;
  readonly errors?: readonly Fault[];
}

/** What is wrong with one part of what was sent. */
export interface Fault {
  readonly pointer: string;
  readonly detail: string;
  /** Where in the text, from 1. */
  readonly character?: number;
}
