/** Ways in which a shard may hold something else than what devices were promised: one for each mistake that a writer could make. */
import type {FindingKind} from '../judge/compare.ts';

/** Records of each batch in the world that is tampered with. */
export const RECORDS = 4;
/** What each device of that world has synced. What is missing between the numbers was never sent. */
export const SYNCED = [
  {epoch: 1, batches: [1, 4]},
  {epoch: 2, batches: [1, 2, 3, 6]},
] as const;

/** The device that is tampered with, and SQL for its key. */
export const VICTIM = '00000000-0000-5000-8000-000000000003';
export const KEY = `(select device_key from device where device_id = '${VICTIM}')`;
/** The batch that is tampered with: its records have the numbers 5 to 8. */
export const AT = `where device_key = ${KEY} and epoch = 2 and batch_seq = 2`;

const COLUMNS = {
  receipt: [
    'device_key',
    'epoch',
    'batch_seq',
    'content_hash',
    'outcome',
    'record_count',
    'bad_count',
    'mode',
    'received_day',
    'received_at',
  ],
  record: [
    'device_key',
    'epoch',
    'batch_seq',
    'ordinal',
    'seq',
    'kind',
    'device_time',
    'data',
    'received_day',
    'received_at',
  ],
};

/** SQL that stores rows of the batch once more, with some columns changed. */
export const copy = (
  table: keyof typeof COLUMNS,
  changes: Readonly<Record<string, string | number>> = {},
  and = '',
): string =>
  `insert into ${table} (${COLUMNS[table].join(', ')}) select ${COLUMNS[table].map((column) => changes[column] ?? column).join(', ')}
   from ${table} ${AT} ${and}`;

/** SQL that keeps something in quarantine. @param from what has the columns device_key, epoch and batch_seq */
export const quarantine = (
  from: string,
  row: {readonly kind: string; readonly detail?: string; readonly payload?: string},
): string =>
  `insert into quarantine (id, created_day, device_key, epoch, batch_seq, kind, reason, detail, payload)
   select gen_random_uuid(), current_date, device_key, epoch, batch_seq, '${row.kind}', 'no reason', ${row.detail ?? "'{}'"}, ${row.payload ?? "'bytes'"}
   from ${from}`;

const setState = (changes: string): string => `update device_state set ${changes} where device_key = ${KEY}`;
const setShadow = (state: string): string => `update device_shadow set state = '${state}' where device_key = ${KEY}`;
const setReplaced = (changes: string): string => `update device_epoch set ${changes} where device_key = ${KEY}`;

const YESTERDAY = {received_day: 'received_day - 1'};
const COUNTED_TWICE = setState(`records_total = records_total + ${RECORDS}, syncs_total = syncs_total + 1`);
/** What the worker leaves of a batch that it gives up. */
const REJECT = `reject as (update receipt set outcome = 'rejected', record_count = 0 ${AT}),
  recount as (${setState(`records_total = records_total - ${RECORDS}`)}),
  gone as (delete from record ${AT})`;
/** A receipt that is gone before its time, and its batch, which came again. */
const UNPROVED = `gone as (delete from receipt ${AT} returning device_key, epoch, batch_seq, encode(content_hash, 'hex') as hash)`;

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
     ${setState(
       `records_total = records_total - ${RECORDS}, syncs_total = syncs_total - 1, applied_through = 1, ahead = '{[3,4),[6,7)}'`,
     )}`,
  ],
  [
    'a replaced epoch is gone with everything that counted it',
    'lost',
    `with r as (delete from receipt where device_key = ${KEY} and epoch = 1), d as (delete from record where device_key = ${KEY} and epoch = 1),
          e as (delete from device_epoch where device_key = ${KEY})
     ${setState(`records_total = records_total - ${2 * RECORDS}, syncs_total = syncs_total - 2`)}`,
  ],
  ['a device is gone', 'lost', `delete from device where device_id = '${VICTIM}'`],
  ['a record is there twice', 'duplicated', copy('record', {}, 'and seq = 6')],
  ['a record is there twice, in two places', 'duplicated', copy('record', {ordinal: 4}, 'and seq = 6')],
  ['a batch was applied twice', 'duplicated', copy('record')],
  ['a batch has a receipt of another day too', 'duplicated', copy('receipt', YESTERDAY)],
  [
    'a batch was applied on two days and counted twice',
    'duplicated',
    `with r as (${copy('receipt', YESTERDAY)}), d as (${copy('record', YESTERDAY)}) ${COUNTED_TWICE}`,
  ],
  [
    'a batch was applied under two numbers',
    'duplicated',
    `with r as (${copy('receipt', {batch_seq: 4})}) ${copy('record', {batch_seq: 4})}`,
  ],
  ['a record has the number of another', 'duplicated', `update record set seq = 1 ${AT} and seq = 6`],
  ['a record has the place of another', 'duplicated', `update record set ordinal = 0 ${AT} and seq = 6`],
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
    `update record r set data = o.data || '{"z": 0}' from record o
     where r.device_key = ${KEY} and r.epoch = 2 and r.seq = 6 and o.device_key = ${KEY} and o.epoch = 2 and o.seq = 9`,
  ],
  [
    'two records have swapped their places',
    'altered',
    `update record set ordinal = 3 - ordinal ${AT} and seq in (6, 7)`,
  ],
  ['places are counted from 1', 'altered', `update record set ordinal = ordinal + 1 ${AT}`],
  ['a record has another number', 'altered', `update record set seq = 600 ${AT} and seq = 6`],
  ['a receipt was never sent', 'foreign', copy('receipt', {batch_seq: 99, record_count: 0})],
  ['a receipt is of another epoch', 'foreign', `update receipt set epoch = 1 ${AT}`],
  ['records have no receipt', 'foreign', copy('record', {batch_seq: 99})],
  ['the state went back', 'stateWrong', setState('state_seq = 2')],
  ['the position is of an older epoch', 'stateWrong', setState('epoch = 1')],
  ['the state is of an older epoch', 'stateWrong', setState('state_epoch = 1')],
  ['an older batch’s state came over a newer one’s', 'stateWrong', setShadow('{"e": 2, "v": 3, "n": 3}')],
  [
    'the state went back and says so',
    'stateWrong',
    `with h as (${setShadow('{"e": 2, "v": 3, "n": 3}')}) ${setState('state_seq = 3')}`,
  ],
  [
    'the state went back to a replaced epoch and says so',
    'stateWrong',
    `with h as (${setShadow('{"e": 1, "v": 4, "n": 3}')}) ${setState('state_epoch = 1, state_seq = 4')}`,
  ],
  ['the state has another content', 'stateWrong', setShadow('{"v": 6}')],
  ['the state’s content is gone', 'stateWrong', `delete from device_shadow where device_key = ${KEY}`],
  ['the state is gone', 'stateWrong', `delete from device_state where device_key = ${KEY}`],
  ['applied_through says too much', 'prefixWrong', setState('applied_through = 4')],
  ['applied_through says too little', 'prefixWrong', setState('applied_through = 2')],
  ['ahead lacks a number that has a receipt', 'prefixWrong', setState('ahead = null')],
  ['ahead has a number without a receipt', 'prefixWrong', setState(`ahead = '{[6,8)}'`)],
  ['ahead has another number than the one with a receipt', 'prefixWrong', setState(`ahead = '{[7,8)}'`)],
  [
    'a replaced epoch’s numbers were not kept',
    'prefixWrong',
    `with e as (delete from device_epoch where device_key = ${KEY}) ${setState('syncs_total = syncs_total - 2')}`,
  ],
  ['a replaced epoch says too much', 'prefixWrong', setReplaced('applied_through = 2')],
  [
    'a replaced epoch says too little, since a batch of it came later',
    'prefixWrong',
    setReplaced('applied_through = 0'),
  ],
  ['a replaced epoch lacks what was ahead', 'prefixWrong', setReplaced('ahead = null')],
  ['a replaced epoch has another number ahead', 'prefixWrong', setReplaced(`ahead = '{[3,4)}'`)],
  [
    'the numbers are of another epoch',
    'prefixWrong',
    `with e as (${setReplaced(`applied_through = 3, ahead = '{[6,7)}'`)}) ${setState(`applied_through = 1, ahead = '{[4,5)}'`)}`,
  ],
  [
    'the position counts as replaced as well',
    'prefixWrong',
    `insert into device_epoch (device_key, epoch, applied_through, ahead)
     select device_key, epoch, applied_through, ahead from device_state where device_key = ${KEY}`,
  ],
  ['records were counted twice', 'counterWrong', setState(`records_total = records_total + ${RECORDS}`)],
  ['a sync was counted twice', 'counterWrong', setState('syncs_total = syncs_total + 1')],
  [
    'a batch was counted twice, and has a receipt for each time',
    'counterWrong',
    `with r as (${copy('receipt', YESTERDAY)}) ${COUNTED_TWICE}`,
  ],
  ['a receipt counts other records', 'counterWrong', `update receipt set record_count = 5 ${AT}`],
  [
    'a good record was put aside as bad',
    'counterWrong',
    `with r as (update receipt set record_count = 3, bad_count = 1 ${AT}),
          s as (${setState('records_total = records_total - 1')}),
          d as (delete from record ${AT} and seq = 6 returning device_key, epoch, batch_seq)
     ${quarantine('d', {kind: 'record', detail: `'{"pointer": "/records/1"}'`})}`,
  ],
  ['an acked batch was rejected and is nowhere', 'lost', `with ${REJECT} select 1`],
  [
    'an acked batch was rejected and only its name is kept',
    'lost',
    `with ${REJECT} ${quarantine(`receipt ${AT}`, {kind: 'batch', payload: 'null'})}`,
  ],
  [
    'an acked batch was rejected and is in quarantine',
    'quarantined',
    `with ${REJECT} ${quarantine(`receipt ${AT}`, {kind: 'batch'})}`,
  ],
  [
    'nothing says that an acked batch was applied, and it is kept because it came again',
    'quarantined',
    `with ${UNPROVED} ${quarantine('gone', {kind: 'unproved', detail: `jsonb_build_object('contentHash', hash)`})}`,
  ],
  [
    'nothing says that an acked batch was applied, and what is kept has another content',
    'lost',
    `with ${UNPROVED} ${quarantine('gone', {kind: 'unproved', detail: `'{"contentHash": "ab"}'`})}`,
  ],
  ['a rejected batch has records', 'foreign', `update receipt set outcome = 'rejected' ${AT}`],
];
