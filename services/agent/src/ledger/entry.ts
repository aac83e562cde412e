/** One line of a ledger: what was sent, and what was answered. The judge compares it with what the shards hold. */
import {createHash} from 'node:crypto';
import {stringify} from 'safe-stable-stringify';
import {z} from 'zod';
import type {DeviceRecord} from '../client/wire.ts';

const batchId = {device: z.string(), epoch: z.string(), batch: z.int(), hash: z.string()};

export const ledgerEntrySchema = z.discriminatedUnion('t', [
  /** Written before the first byte leaves, once per content. */
  z.object({
    t: z.literal('sent'),
    ...batchId,
    records: z.int(),
    /** Lowest and highest `s`; null for a batch without records. */
    first: z.int().nullable(),
    last: z.int().nullable(),
    /** {@link recordsDigest} of the records. */
    digest: z.string(),
    /** {@link valueDigest} of the state; null when the batch carries none. */
    state: z.string().nullable(),
    /** Milliseconds since 1970. */
    at: z.number(),
  }),
  /** One line an attempt, and one for what a heartbeat said is `applied`, of which no 2xx had come. `unknown` may or may not have been taken. */
  z.object({
    t: z.literal('answer'),
    ...batchId,
    answer: z.enum(['acked', 'applied', 'unknown', 'rejected']),
    /** HTTP status; null when there was no reply. */
    status: z.int().nullable(),
    /** Records that the region put into quarantine; null where it did not say. */
    bad: z.int().nullable(),
    /** {@link recordsDigest} of the others; null when none is bad, or nobody said. */
    good: z.string().nullable(),
    at: z.number(),
    ms: z.number(),
  }),
]);

export type LedgerEntry = z.infer<typeof ledgerEntrySchema>;
export type SentEntry = Extract<LedgerEntry, {t: 'sent'}>;

const canonical = (value: unknown): string => stringify(value) ?? 'null';

const shortHash = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 22);

/** Of the JSON with sorted keys, because a database's jsonb keeps no order. */
export const valueDigest = (value: unknown): string => shortHash(canonical(value));

/** Digest of records in the order of `s`, independent of the order of keys. */
export const recordsDigest = (records: readonly DeviceRecord[]): string =>
  shortHash(records.map(({s, k, t, d}) => `${canonical([s, k, t])}${canonical(d)}`).join('\n'));
