import {z} from 'zod';
import {CACHE_TTL_SECONDS, cacheKey} from '@pisync/core/cache/cache-keys';
import {keepEntry} from '@pisync/core/cache/device-entries';
import {createSingleFlight} from '@pisync/core/cache/single-flight';
import {type Device, findDevice} from '@pisync/core/queries/devices';
import {DEVICE_STATUSES} from '@pisync/core/devices/device-status';
import type {Groups} from '@pisync/core/devices/groups';
import {AppError} from '@pisync/core/errors/app-error';
import type {Shards} from '@pisync/core/shards/shards';
import {type CacheAccess, readCached} from '../caching/read-through.ts';
import type {DeviceView} from './device-schema.ts';
import {formatEpoch} from '@pisync/core/devices/epoch';

/**
 * Single devices, read through two cache entries of different lifetimes: `device:<id>` holds what enrolment wrote, `status:<id>` what
 * each sync changes. Whoever writes a device marks the entry that the write made wrong as changed.
 */
const infoSchema = z.object({
  deviceKey: z.int(),
  slot: z.int(),
  name: z.string().nullable(),
  groupId: z.int(),
  model: z.string().nullable(),
  hardwareId: z.string(),
  tags: z.record(z.string(), z.string()),
  enrolledAt: z.string(),
  revokedAt: z.string().nullable(),
  reEnrolledAt: z.string().nullable(),
  reEnrolments: z.int(),
  disputedUntil: z.string().nullable(),
  revision: z.int(),
  epoch: z.int(),
});
export type DeviceInfo = z.output<typeof infoSchema>;

const statusSchema = z.object({
  status: z.enum(DEVICE_STATUSES),
  statusSince: z.string(),
  lastSyncAt: z.string().nullable(),
  lastSeenAt: z.string().nullable(),
  recordsTotal: z.int(),
  syncsTotal: z.int(),
  appliedThrough: z.int(),
  state: z.unknown(),
  asOf: z.string(),
});
type DeviceStatusEntry = z.output<typeof statusSchema>;

export interface DeviceDirectory {
  /** @throws AppError `not-found`. */
  get(deviceId: string): Promise<DeviceInfo>;
  /** The whole device, and when its volatile part was read. @throws AppError `not-found`. */
  view(deviceId: string): Promise<{readonly device: DeviceView; readonly asOf: string}>;
}

export interface DeviceDirectoryOptions {
  readonly shards: Shards;
  readonly groups: Groups;
  readonly cache: CacheAccess;
  readonly now: () => number;
}

interface Entries {
  readonly info: DeviceInfo;
  readonly status: DeviceStatusEntry;
}

export const createDeviceDirectory = ({shards, groups, cache, now}: DeviceDirectoryOptions): DeviceDirectory => {
  const singleFlight = createSingleFlight<Entries>();

  const load = async (id: string): Promise<Entries> => {
    const asOf = new Date(now()).toISOString();
    const device = await findDevice(shards, id);
    if (device === undefined) throw new AppError('not-found', `No device ${id} is enrolled in this region.`);
    const entries = {info: infoOf(device), status: statusOf(device, asOf)};
    await Promise.all([
      cache.use((redis) => keepEntry(redis, cacheKey.device(id), entries.info, CACHE_TTL_SECONDS.device)),
      cache.use((redis) => keepEntry(redis, cacheKey.status(id), entries.status, CACHE_TTL_SECONDS.status)),
    ]);
    return entries;
  };
  const loadOnce = (id: string): Promise<Entries> => singleFlight(id, () => load(id));

  return {
    async get(deviceId) {
      const id = deviceId.toLowerCase();
      return (await readCached(cache, cacheKey.device(id), infoSchema)) ?? (await loadOnce(id)).info;
    },
    async view(deviceId) {
      const id = deviceId.toLowerCase();
      const [knownInfo, knownStatus] = await Promise.all([
        readCached(cache, cacheKey.device(id), infoSchema),
        readCached(cache, cacheKey.status(id), statusSchema),
      ]);
      const {info, status} =
        knownInfo !== undefined && knownStatus !== undefined
          ? {info: knownInfo, status: knownStatus}
          : await loadOnce(id);
      const {deviceKey: _, epoch, groupId, ...shownInfo} = info;
      const group = (await groups.names()).nameOf(groupId);
      const {asOf, ...shownStatus} = status;
      return {
        device: {
          id,
          ...shownInfo,
          group,
          ...shownStatus,
          epoch: formatEpoch(epoch),
          shard: shards.slotMap.shardOf(info.slot),
        },
        asOf,
      };
    },
  };
};

const infoOf = (device: Device): DeviceInfo => ({
  deviceKey: device.deviceKey,
  slot: device.slot,
  name: device.name,
  groupId: device.groupId,
  model: device.model,
  hardwareId: device.hardwareId,
  tags: device.tags,
  enrolledAt: device.enrolledAt.toISOString(),
  revokedAt: device.revokedAt?.toISOString() ?? null,
  reEnrolledAt: device.reEnrolledAt?.toISOString() ?? null,
  reEnrolments: device.reEnrolments,
  disputedUntil: device.disputedUntil?.toISOString() ?? null,
  revision: device.revision,
  epoch: device.epoch,
});

const statusOf = (device: Device, asOf: string): DeviceStatusEntry => ({
  status: device.status,
  statusSince: device.statusSince.toISOString(),
  lastSyncAt: device.lastSyncAt?.toISOString() ?? null,
  lastSeenAt: device.lastSeenAt?.toISOString() ?? null,
  recordsTotal: device.recordsTotal,
  syncsTotal: device.syncsTotal,
  appliedThrough: device.appliedThrough,
  state: device.state,
  asOf,
});
