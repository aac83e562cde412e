import {z} from 'zod';
import {CACHE_TTL_SECONDS, cacheKey} from '@pisync/core/cache/cache-keys';
import {keepEntry} from '@pisync/core/cache/device-entries';
import {createSingleFlight} from '@pisync/core/cache/single-flight';
import {type Device, findDevice} from '@pisync/core/queries/devices';
import {DEVICE_STATUSES} from '@pisync/core/devices/device-status';
import type {Groups} from '@pisync/core/devices/groups';
import {isInScope, type Scope} from '@pisync/core/devices/scope';
import {AppError} from '@pisync/core/errors/app-error';
import type {Shards} from '@pisync/core/shards/shards';
import {type CacheAccess, readCached} from '../caching/read-through.ts';
import {recordOf} from '../http/record-of.ts';
import type {DeviceView} from './device-schema.ts';
import {formatEpoch} from '@pisync/core/devices/epoch';

/**
 * Single devices, read through two cache entries of different lifetimes: `device:<id>` holds what enrolment wrote, `status:<id>` what
 * each sync changes. They are the same for everybody, and who may not see the device is told so after they were read. Whoever writes a device marks the entry that the write made wrong as changed.
 */
const infoSchema = z.object({
  deviceKey: z.int(),
  slot: z.int(),
  name: z.string().nullable(),
  groupId: z.int(),
  model: z.string().nullable(),
  hardwareId: z.string(),
  tags: recordOf(z.string()),
  enrolledAt: z.string(),
  revokedAt: z.string().nullable(),
  decommissionedAt: z.string().nullable(),
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
  /** @throws AppError `not-found`, also for a device of a group that is not in the scope. */
  get(deviceId: string, scope: Scope): Promise<DeviceInfo>;
  /** The whole device, and when its volatile part was read. @throws AppError `not-found`, as `get` does. */
  view(deviceId: string, scope: Scope): Promise<ShownDevice>;
  /** One that was just read from its shard, past every cache. */
  show(device: Device): Promise<ShownDevice>;
}

export interface ShownDevice {
  readonly device: DeviceView;
  readonly asOf: string;
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
    if (device === undefined) throw unknownDevice(id);
    const entries = {info: infoOf(device), status: statusOf(device, asOf)};
    await Promise.all([
      cache.use((redis) => keepEntry(redis, cacheKey.device(id), entries.info, CACHE_TTL_SECONDS.device)),
      cache.use((redis) => keepEntry(redis, cacheKey.status(id), entries.status, CACHE_TTL_SECONDS.status)),
    ]);
    return entries;
  };
  const loadOnce = (id: string): Promise<Entries> => singleFlight(id, () => load(id));

  const shownOf = async (id: string, {info, status}: Entries): Promise<ShownDevice> => {
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
  };

  return {
    async get(deviceId, scope) {
      const id = deviceId.toLowerCase();
      const info = (await readCached(cache, cacheKey.device(id), infoSchema)) ?? (await loadOnce(id)).info;
      if (!isInScope(scope, info.groupId)) throw unknownDevice(id);
      return info;
    },
    async view(deviceId, scope) {
      const id = deviceId.toLowerCase();
      const [knownInfo, knownStatus] = await Promise.all([
        readCached(cache, cacheKey.device(id), infoSchema),
        readCached(cache, cacheKey.status(id), statusSchema),
      ]);
      const entries =
        knownInfo !== undefined && knownStatus !== undefined
          ? {info: knownInfo, status: knownStatus}
          : await loadOnce(id);
      if (!isInScope(scope, entries.info.groupId)) throw unknownDevice(id);
      return shownOf(id, entries);
    },
    show(device) {
      const asOf = new Date(now()).toISOString();
      return shownOf(device.deviceId, {info: infoOf(device), status: statusOf(device, asOf)});
    },
  };
};

/** Nobody learns whether a device that is not in his scope is there. */
export const unknownDevice = (id: string): AppError =>
  new AppError('not-found', `No device ${id} is enrolled in this region, as far as this token may see.`);

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
  decommissionedAt: device.decommissionedAt?.toISOString() ?? null,
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
