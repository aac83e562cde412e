/** Keys in Redis and how long they live. All can be rebuilt from the shards; losing Redis changes no durable answer. */

const PREFIX = 'pisync:';

export const CACHE_TTL_SECONDS = {
  /** Also the hint of a device's position. */
  status: 60,
  /** A day: what a shard said last is shown, with its age, while it is away. */
  aggregate: 86_400,
  device: 600,
  /** Two days, so that a device that syncs once a day is known while its shard is away. */
  credential: 172_800,
  /** As long as the credential: it says how far a device can be while its shard is away. */
  atLeast: 172_800,
} as const;

export const cacheKey = {
  /** JSON of what authenticating a device needs. */
  credential: (deviceId: string): string => `${PREFIX}cred:${deviceId}`,
  /** One key a fact, see position-hint.ts: each expires by itself. */
  position: (deviceId: string, fact: 'applied' | 'atLeast' | 'accepted' | 'commands'): string =>
    `${PREFIX}pos:${fact}:${deviceId}`,
  /** These live as long as what was used takes to refill, see device-api's shared-quota.ts. */
  quota: (deviceId: string): string => `${PREFIX}quota:${deviceId}`,
  newDevices: (tokenHash: string): string => `${PREFIX}new:${tokenHash}`,
  usedUp: (tokenHash: string): string => `${PREFIX}used-up:${tokenHash}`,
  /** @param whose the hash of a token, or a device's id with one */
  reEnrolments: (whose: string): string => `${PREFIX}again:${whose}`,
  device: (deviceId: string): string => `${PREFIX}device:${deviceId}`,
  status: (deviceId: string): string => `${PREFIX}status:${deviceId}`,
  aggregate: (name: string): string => `${PREFIX}agg:${name}`,
  /** How many calls are left to an API token. */
  calls: (tokenHash: string): string => `${PREFIX}calls:${tokenHash}`,
  /** Written and read to try the cache. @param name of the process that tries */
  probe: (name: string): string => `${PREFIX}probe:${name}`,
} as const;

export const CACHE_CHANNEL = {
  /** Message: a device id whose credential was revoked or replaced. */
  revoked: `${PREFIX}revoked`,
  /** Messages for open dashboards. */
  live: `${PREFIX}live`,
} as const;
