/** Ways in which a shard may hold something else than what devices were promised: one for each mistake that a writer could make. */
import type {FindingKind} from '../judge/compare.ts';

/** Records of each batch in the world that is tampered with. */
export const RECORDS = 4;

/** The batch that is tampered with: one of {@link RECORDS} records, numbered 5 to 8, of the device with key 3. */
export const AT = 'where device_key = 3 and epoch = 1 and batch_seq = 2';
/** Columns of a receipt, for copies of it. */
export const RECEIPT =
  'device_key, epoch, batch_seq, slot, content_hash, outcome, record_count, bad_count, mode, received_day, received_at';
/** What the worker leaves of a batch that it gives up. */
const REJECT = `reject as (update receipt set outcome = 'rejected', record_count = 0 ${AT}),
  recount as (update device_state set records_total = records_total - ${RECORDS} where device_key = 3),
  gone as (delete from record ${AT})`;
const COLUMNS = 'device_key, slot, epoch, batch_seq, seq, kind, device_time, data, received_day, received_at';

/** What is wrong with the shard, what the judge calls it, and the statement that makes it so. */
export const TAMPERINGS: readonly (readonly [string, FindingKind, string])[] = [
  ['a receipt is gone', 'lost', `delete from receipt ${AT}`],
  ['a batch is gone wholly', 'lost', `with r as (delete from receipt ${AT}) delete from record ${AT}`],
  ['a record is gone', 'lost', `delete from record ${AT} and seq = 6`],
  ['the records of a receipt are gone', 'lost', `delete from record ${AT}`],
  [
    'a batch is gone with everything that counted it',
    'lost',
    `with r as (delete from receipt ${AT}), d as (delete from record ${AT})
     update device_state set records_total = records_total - ${RECORDS}, syncs_total = syncs_total - 1, applied_through = 1 where device_key = 3`,
  ],
  ['a device is gone', 'lost', 'delete from device where device_key = 3'],
  [
    'a record is there twice',
    'duplicated',
    `insert into record (${COLUMNS}) select ${COLUMNS} from record ${AT} and seq = 6`,
  ],
  ['a batch was applied twice', 'duplicated', `insert into record (${COLUMNS}) select ${COLUMNS} from record ${AT}`],
  [
    'a batch was applied under two numbers',
    'duplicated',
    `with r as (insert into receipt (${RECEIPT}) select device_key, epoch, 4, slot, content_hash, outcome, record_count, bad_count,
                  mode, received_day, received_at from receipt ${AT})
     insert into record (${COLUMNS}) select device_key, slot, epoch, 4, seq, kind, device_time, data, received_day, received_at
     from record ${AT}`,
  ],
  ['a record has the number of another', 'duplicated', `update record set seq = 1 ${AT} and seq = 6`],
  ['a receipt has another hash', 'altered', `update receipt set content_hash = '\\xab' ${AT}`],
  ['a record has another value', 'altered', `update record set data = '{"z": 4}' ${AT} and seq = 6`],
  [
    'a record has another time',
    'altered',
    `update record set device_time = device_time + interval '1 ms' ${AT} and seq = 6`,
  ],
  ['a record has another kind', 'altered', `update record set kind = 'whether' ${AT} and seq = 6`],
  [
    'two records have swapped their data',
    'altered',
    `update record r set data = o.data || '{"z": 0}' from record o where r.device_key = 3 and r.seq = 6 and o.device_key = 3 and o.seq = 9`,
  ],
  ['a record has another device’s slot', 'altered', `update record set slot = (slot + 1) % 1024 ${AT} and seq = 6`],
  ['a receipt has another device’s slot', 'altered', `update receipt set slot = (slot + 1) % 1024 ${AT}`],
  ['a record has another number', 'altered', `update record set seq = 600 ${AT} and seq = 6`],
  [
    'a receipt was never sent',
    'foreign',
    `insert into receipt (device_key, epoch, batch_seq, slot, content_hash, outcome, record_count, bad_count, mode, received_day, received_at)
     select device_key, epoch, 99, slot, content_hash, outcome, 0, 0, mode, received_day, received_at from receipt ${AT}`,
  ],
  ['a receipt is of another epoch', 'foreign', `update receipt set epoch = 2 ${AT}`],
  [
    'records have no receipt',
    'foreign',
    `insert into record (${COLUMNS}) select device_key, slot, epoch, 99, seq, kind, device_time, data, received_day, received_at from record ${AT}`,
  ],
  ['the state went back', 'stateWrong', 'update device_state set state_seq = 2 where device_key = 3'],
  ['the position is of an older epoch', 'stateWrong', 'update device_state set epoch = 0 where device_key = 3'],
  ['the state is of an older epoch', 'stateWrong', 'update device_state set state_epoch = 0 where device_key = 3'],
  [
    'an older batch’s state came over a newer one’s',
    'stateWrong',
    `update device_state set state = '{"v": 2, "n": 3}' where device_key = 3`,
  ],
  [
    'the state went back and says so',
    'stateWrong',
    `update device_state set state = '{"v": 2, "n": 3}', state_seq = 2 where device_key = 3`,
  ],
  ['the state has another content', 'stateWrong', `update device_state set state = '{"v": 2}' where device_key = 3`],
  ['the state is gone', 'stateWrong', 'delete from device_state where device_key = 3'],
  ['applied_through says too much', 'prefixWrong', 'update device_state set applied_through = 4 where device_key = 3'],
  [
    'applied_through says too little',
    'prefixWrong',
    'update device_state set applied_through = 2 where device_key = 3',
  ],
  [
    'records were counted twice',
    'counterWrong',
    'update device_state set records_total = records_total + 4 where device_key = 3',
  ],
  ['a sync was counted twice', 'counterWrong', 'update device_state set syncs_total = 4 where device_key = 3'],
  ['a receipt counts other records', 'counterWrong', `update receipt set record_count = 5 ${AT}`],
  [
    'a good record was put aside as bad',
    'counterWrong',
    `with r as (update receipt set record_count = 3, bad_count = 1 ${AT}),
          s as (update device_state set records_total = records_total - 1 where device_key = 3),
          d as (delete from record ${AT} and seq = 6 returning device_key, slot, epoch, batch_seq)
     insert into quarantine (device_key, slot, epoch, batch_seq, kind, reason, detail, payload)
     select *, 'record', 'no reason', '{"pointer": "/records/1"}', '{}' from d`,
  ],
  ['an acked batch was rejected and is nowhere', 'lost', `with ${REJECT} select 1`],
  [
    'an acked batch was rejected and only its name is kept',
    'lost',
    `with ${REJECT} insert into quarantine (device_key, slot, epoch, batch_seq, kind, reason)
     select device_key, slot, epoch, batch_seq, 'batch', 'poison' from receipt ${AT}`,
  ],
  [
    'an acked batch was rejected and is in quarantine',
    'quarantined',
    `with ${REJECT} insert into quarantine (device_key, slot, epoch, batch_seq, kind, reason, payload)
     select device_key, slot, epoch, batch_seq, 'batch', 'poison', 'bytes' from receipt ${AT}`,
  ],
  ['a rejected batch has records', 'foreign', `update receipt set outcome = 'rejected' ${AT}`],
];
