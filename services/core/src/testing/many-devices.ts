import type pg from 'pg';

/** Without a name, a sync, a tag or a group of its own are some of them, alike in a value many. */
export interface ManyDevices {
  /** Of numbers from this one on, which are unique in the region. */
  readonly from: number;
  readonly count: number;
}

/** Makes devices by SQL, in slots that the shard owns: thousands a second, with values of all kinds for lists. */
export const seedManyDevices = async (pool: pg.Pool, {from, count}: ManyDevices): Promise<void> => {
  await pool.query(
    `with owned as materialized (
       select array_agg(slot order by slot) as slots, count(*) as n from slot_owner where state = 'owned'),
     made as (
       insert into device (device_key, device_id, hardware_id, secret_hash, name, model, tags, enrolled_at, revoked_at, decommissioned_at, disputed_until)
       select slots[1 + i % n] * 4294967296 + i, md5('device ' || i)::uuid, 'hw-' || substr(md5('hw ' || i), 1, 10), '',
              case when i % 17 <> 0 then (array['Oak', 'elm', 'ash', 'Éfir', 'fir'])[1 + i % 5] || '-' || (i / 3) end,
              (array['Raspberry Pi 4', 'Raspberry Pi 5'])[1 + i % 2] || case when i % 500 = 7 then ' rare' else '' end,
              case when i % 11 = 0 then '{}' else jsonb_build_object('site', 's-' || i % 997, 'ring', (i % 3)::text) end,
              timestamptz '2026-01-01' + i / 5 * interval '1 minute' + i % 7 * interval '1 microsecond',
              case when i % 700 in (3, 4) then timestamptz '2026-06-01' end, case when i % 700 = 4 then timestamptz '2026-06-02' end,
              case when i % 250 = 11 then now() + interval '1 day' when i % 250 = 12 then now() - interval '1 day' end
       from owned, generate_series($1::bigint, $1::bigint + $2::bigint - 1) i returning device_key, device_id),
     states as (
       insert into device_state (device_key, device_id, epoch, last_sync_at, last_seen_at)
       select device_key, device_id, 1, case when i % 19 <> 0 then at end, case when i % 23 <> 0 then at + i % 4 * interval '1 second' end
       from made, lateral (select device_key & 4294967295 as i) n,
            lateral (select timestamptz '2026-07-01' + i * 7919 % 100000 * interval '1 second 1 microsecond' as at) a)
     insert into device_status (device_key, device_id, group_id, status, since)
     select device_key, device_id, case when i % 10 = 0 then 2 + i % 50 else 1 end,
            case when i % 400 = 5 then 'failing' when i % 40 = 7 then 'late' when i % 40 = 9 then 'silent' when i % 19 = 0 then 'pending' else 'on_time' end,
            timestamptz '2026-08-01' + i * 104729 % 5000 * interval '1 minute'
     from made, lateral (select device_key & 4294967295 as i) n`,
    [from, count],
  );
};
