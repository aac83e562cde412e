/**
 * How a device keeps its promise to sync once a day. `pending`: never synced. `failing`: syncs arrive and cannot be applied.
 */
export const DEVICE_STATUSES = ['pending', 'on_time', 'late', 'silent', 'failing'] as const;
export type DeviceStatus = (typeof DEVICE_STATUSES)[number];

const HOUR_MS = 3_600_000;
/** A day, plus the tolerance that the sync window may move a device by and the longest back-off of a device. */
export const LATE_AFTER_MS = 26 * HOUR_MS;
/** Three days were missed: no back-off explains that. */
export const SILENT_AFTER_MS = 72 * HOUR_MS;

/** The status that time alone gives. `lastSyncAtMs` is the server's clock at the arrival of the last batch. */
export const statusByAge = (
  nowMs: number,
  lastSyncAtMs: number | undefined,
): 'pending' | 'on_time' | 'late' | 'silent' => {
  if (lastSyncAtMs === undefined) return 'pending';
  const ageMs = nowMs - lastSyncAtMs;
  if (ageMs > SILENT_AFTER_MS) return 'silent';
  return ageMs > LATE_AFTER_MS ? 'late' : 'on_time';
};
