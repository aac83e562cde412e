/** What a device and its region say to each other: bodies of `POST /v1/enroll` and `POST /v1/sync`. Unknown fields are ignored in both directions. */
import {z} from 'zod';

export type JsonObject = Readonly<Record<string, unknown>>;

/** One entry of a device's sync log before it has a number. */
export interface Reading {
  /** Kind, such as `temperature`. */
  readonly k: string;
  /** Milliseconds since 1970 by the device's own clock, which may be wrong. */
  readonly t: number;
  readonly d: JsonObject;
}

/** A reading with its number: `s` is contiguous per device and epoch, from 1. */
export interface DeviceRecord extends Reading {
  readonly s: number;
}

export type Mode = 'delta' | 'full' | 'heartbeat';
export type Reason = 'scheduled' | 'forced' | 'retry' | 'boot';

export interface SyncBody {
  readonly epoch: string;
  readonly batchSeq: number;
  readonly prevAcked: number;
  readonly mode: Mode;
  readonly reason: Reason;
  readonly clock: {readonly now: number; readonly synced: boolean; readonly uptimeMs: number};
  readonly state?: JsonObject;
  readonly records: readonly DeviceRecord[];
  readonly more: boolean;
  /** `cmdAcks`: commands that are done, by their ids; the batch that carries them closes them. */
  readonly pull: {readonly configRev?: number; readonly cmdAcks?: readonly string[]};
  readonly stats: {
    readonly attempt: number;
    readonly lastError?: string;
    readonly queued: number;
    readonly dropped: number;
    readonly lostLines?: number;
  };
}

const backoffSchema = z.object({
  /** Seconds: the first step of the full-jitter ladder. */
  base: z.number().positive().default(30),
  /** Seconds: no wait is longer. */
  cap: z.number().positive().default(3600),
  /** Seconds: the first failure after a success waits a uniform share of this. */
  edgeJitter: z.number().min(0).default(120),
});

const policySchema = z.object({
  maxRecords: z.int().min(1).default(500),
  compress: z.string().default('gzip'),
  backoff: backoffSchema.prefault({}),
  /** Host names to which a device of the region may be sent by a 421. */
  homes: z.array(z.string()).default([]),
});

/** How the region wants to be talked to; it comes with every answer. */
export type Policy = z.infer<typeof policySchema>;
export const DEFAULT_POLICY: Policy = policySchema.parse({});

export const commandSchema = z.object({id: z.string(), type: z.string(), params: z.unknown().optional()});
export type DeviceCommand = z.infer<typeof commandSchema>;

export const enrolAnswerSchema = z.object({
  deviceId: z.string().min(1),
  credential: z.string().min(1),
  epoch: z.string().min(1),
  region: z.string().min(1),
  nonce: z.string(),
  policy: policySchema.prefault({}),
});
export type EnrolAnswer = z.infer<typeof enrolAnswerSchema>;

export const syncAnswerSchema = z.object({
  accepted: z.int().min(0).optional(),
  applied: z.int().min(0),
  receipt: z.string().optional(),
  /** Of the batch as the region read it; see content.ts. */
  contentHash: z.string().optional(),
  duplicate: z.boolean().default(false),
  /** Milliseconds since 1970 by the server's clock; only its distance from `serverTime` is used. */
  nextSyncAt: z.number().optional(),
  serverTime: z.number().optional(),
  continueNow: z.boolean().default(false),
  config: z.object({rev: z.int(), patch: z.unknown().optional()}).nullish(),
  commands: z.array(commandSchema).default([]),
  policy: policySchema.prefault({}),
});
export type SyncAnswer = z.infer<typeof syncAnswerSchema>;

/** What ties an answer to its call. Without it a cached answer, or that to somebody else, could say that batches are applied which were never sent. */
export const bindingSchema = z.object({
  region: z.string(),
  deviceId: z.string(),
  epoch: z.string(),
  nonce: z.string(),
});

/** What every problem's type of a region begins with. */
export const PROBLEM_TYPE = 'urn:pisync:problem:';

/** RFC 9457 problem, with the members that the sync contract adds. */
export const problemSchema = z.object({
  type: z.string().optional(),
  code: z.string().optional(),
  title: z.string().optional(),
  detail: z.string().optional(),
  accepted: z.int().optional(),
  applied: z.int().optional(),
  expected: z.int().optional(),
  maxRecords: z.int().min(1).optional(),
  maxBytes: z.int().optional(),
  maxInflatedBytes: z.int().optional(),
  region: z.string().optional(),
  nonce: z.string().optional(),
  /** Of the body as the region read it, inflated; absent where it read none. */
  received: z.object({bytes: z.int(), sha256: z.string()}).optional(),
  home: z.string().optional(),
  errors: z.array(z.object({pointer: z.string().optional(), detail: z.string().optional()})).optional(),
});
export type Problem = z.infer<typeof problemSchema>;
