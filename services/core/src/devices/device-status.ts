/**
 * How a device keeps its promise to sync once a day. `pending`: never synced. `failing`: its last batch could not be applied.
 */
export const DEVICE_STATUSES = ['pending', 'on_time', 'late', 'silent', 'failing'] as const;
export type DeviceStatus = (typeof DEVICE_STATUSES)[number];

const HOUR_MS = 3_600_000;
/** A day, plus the hour that the sync window may move a device by and the hour of a device's longest back-off. */
export const LATE_AFTER_MS = 26 * HOUR_MS;
/** Three days were missed: no back-off explains that. */
export const SILENT_AFTER_MS = 72 * HOUR_MS;

/** SQL: when time changes a status unless a sync comes; null: it does not. @param status SQL @param lastSyncAt SQL */
export const nextCheck = (status: string, lastSyncAt: string): string =>
  `case when ${status} in ('on_time', 'failing') then ${lastSyncAt} + interval '${LATE_AFTER_MS} ms'
        when ${status} = 'late' then ${lastSyncAt} + interval '${SILENT_AFTER_MS} ms' end`;
