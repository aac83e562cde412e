import {type Shards} from '@pisync/core/shards/shards';
import {fingerprint} from './parcel.ts';

/**
 * Keeps what cannot be applied anywhere in shard 0's quarantine, without a device, for a person to look at. The same bytes
 * are kept once. @throws what the database threw.
 */
export const keepUnreadable = async (
  shards: Shards,
  reason: string,
  detail: Readonly<Record<string, unknown>>,
  content: Buffer,
): Promise<void> => {
  await shards.control('ingest').query({
    name: 'quarantine-unreadable',
    text: `insert into quarantine (kind, reason, detail, payload)
           select 'batch', $1, $2::jsonb, $3 where not exists (
             select from quarantine where device_key is null and detail ->> 'sha256' = $4)`,
    values: [
      reason.replaceAll('\0', ''),
      JSON.stringify({...detail, sha256: fingerprint(content)}),
      content,
      fingerprint(content),
    ],
  });
};
