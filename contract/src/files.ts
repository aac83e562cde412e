/**
 * Where the operator mounts what a service reads. Everything is a file, which is read whenever it is needed: nothing secret is passed in the environment, where
 * `kubectl describe` and crash reports would show it.
 */
export const FILES = {
  /** JSON, see topology.ts. */
  topology: '/etc/pisync/topology/topology.json',
  /** The last slot map that the keeper has read, for services that start while shard 0 is away, and for shard 0 when it is begun anew; absent until there is one. */
  slotMap: '/etc/pisync/facts/slot-map.json',
  /** One folder a Secret below it: `shard-0/{username,password}`, `rabbitmq/…`, `redis/…`, `bootstrap/…`, `signing/…`, `audit/…`. */
  secrets: '/etc/pisync/secrets',
} as const;

/** Folder names below {@link FILES}.secrets and the keys that each Secret has. Every value is text without a newline. */
export const SECRET_KEYS = {
  /** Folder `shard-<id>`. */
  shard: {username: 'username', password: 'password'},
  /** Folder `rabbitmq`. The cookie is read by the broker alone. */
  rabbitmq: {username: 'username', password: 'password', erlangCookie: 'erlang-cookie'},
  /** Folder `redis`. */
  redis: {password: 'password'},
  /** Folder `bootstrap`: the administrator's token, for admin-api, and the enrolment token, for device-api. They stand nowhere else. */
  bootstrap: {adminToken: 'admin-token', enrolmentToken: 'enrolment-token'},
  /** Folder `signing`, for admin-api: 32 random bytes in base64url that seal cursors. */
  signing: {key: 'key'},
  /** Folder `audit`, for the keeper and admin-api: 32 random bytes in base64url with which the audit chain is signed. */
  audit: {key: 'key'},
} as const;

export const shardSecretFolder = (shardId: number): string => `shard-${shardId}`;
