/**
 * How a device keeps its promise to call once a day, by a sync or, when it has nothing to send, by a heartbeat. `pending`: never synced. `failing`: its last batch could not
 * be applied.
 */
export const DEVICE_STATUSES = ['pending', 'on_time', 'late', 'silent', 'failing'] as const;
export type DeviceStatus = (typeof DEVICE_STATUSES)[number];
/** How many devices have each status. */
export type StatusCounts = Readonly<Record<DeviceStatus, number>>;
export const NO_DEVICES: StatusCounts = {pending: 0, on_time: 0, late: 0, silent: 0, failing: 0};

/** Adds up, status by status. */
export const addCounts = (a: StatusCounts, b: StatusCounts): StatusCounts => ({
  pending: a.pending + b.pending,
  on_time: a.on_time + b.on_time,
  late: a.late + b.late,
  silent: a.silent + b.silent,
  failing: a.failing + b.failing,
});

const HOUR_MS = 3_600_000;
/** A day, plus the hour that the sync window may move a device by and the hour of a device's longest back-off. */
export const LATE_AFTER_MS = 26 * HOUR_MS;
/** Three days were missed: no back-off explains that. */
const SILENT_AFTER_MS = 72 * HOUR_MS;

/** SQL: the status of a device by the shard's clock, which is the only one that statuses go by. Its row of device_state is `s`. @param isFailing SQL */
export const statusNow = (isFailing: string): string =>
  `case when s.last_sync_at is null then 'pending'
        when s.last_seen_at <= now() - interval '${SILENT_AFTER_MS} ms' then 'silent'
        when s.last_seen_at <= now() - interval '${LATE_AFTER_MS} ms' then 'late'
        when ${isFailing} then 'failing' else 'on_time' end`;

/** SQL: when time changes a status unless the device calls; null: it does not. @param status SQL @param lastSeenAt SQL */
export const nextCheck = (status: string, lastSeenAt: string): string =>
  `case when ${status} in ('on_time', 'failing') then ${lastSeenAt} + interval '${LATE_AFTER_MS} ms'
        when ${status} = 'late' then ${lastSeenAt} + interval '${SILENT_AFTER_MS} ms' end`;

/**
 * SQL: brings the statuses of devices that called up to what they are now. It writes only the rows that change, because their indexes are paid for by each of them.
 * One that is on time or failing becomes late by the sweep alone. A check that somebody has stays, and comes too early, which does no harm.
 * @param called SQL: of rows of device_status that it locks `device_key`, `before` (the status), `seen_before` (last_seen_at), `was_failing` and `is_failing`. The rows of
 * device_state have to be locked before, in another statement, and say already that the devices called.
 */
export const changeStatuses = (called: string): string =>
  `with called as materialized (${called}),
        changed as materialized (
          select c.*, s.last_seen_at, n.status,
                 ${nextCheck('c.before', 'c.seen_before')} as check_before, ${nextCheck('n.status', 's.last_seen_at')} as check_at
          from called c join device_state s on s.device_key = c.device_key
          cross join lateral (
            select case when c.before not in ('on_time', 'failing') then ${statusNow('c.is_failing')}
                        when c.is_failing then 'failing' else 'on_time' end as status) n
          where n.status <> c.before or c.is_failing <> c.was_failing
            or (c.before in ('late', 'silent') and s.last_seen_at is distinct from c.seen_before)),
        old as materialized (
          select d.check_at, d.device_key from changed join device_check d on d.check_at = changed.check_before and d.device_key = changed.device_key
          where changed.check_at is distinct from changed.check_before for update of d skip locked),
        gone as (delete from device_check d using old where d.check_at = old.check_at and d.device_key = old.device_key),
        made as (
          insert into device_check (check_at, device_key)
          select check_at, device_key from changed where check_at is not null and before not in ('on_time', 'failing') on conflict do nothing)
        update device_status t set
          status = changed.status, is_failing = changed.is_failing, since = case when changed.status = changed.before then t.since else now() end,
          last_seen_at = case when changed.status in ('late', 'silent') then changed.last_seen_at end, tx_id = pg_current_xact_id()::text::bigint
        from changed where t.device_key = changed.device_key`;
