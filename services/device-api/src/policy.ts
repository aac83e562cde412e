import {MAX_RECORDS} from './sync/sync-body.ts';

/** How devices should talk to this region; part of every answer. Times in seconds. */
export const POLICY = {
  maxRecords: MAX_RECORDS,
  compress: 'gzip',
  backoff: {base: 30, cap: 3600, edgeJitter: 120},
} as const;

/** 500 records of a few hundred bytes are some 200 KB of JSON; five times that leaves room for long ones. */
export const BODY_LIMITS = {maxBytes: 512 * 1024, maxInflatedBytes: 1024 * 1024} as const;
