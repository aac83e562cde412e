import {type Retention} from '@pisync/contract/topology';

/** How the rows of a slot are brought to another shard, where an earlier pass may have brought some of them. */
type Merge =
  /** Never updated: those that the target has stay. */
  | 'insert'
  /** By their key; the newer version replaces the older. */
  | 'upsert'
  /** Few, and also deleted: the slot's rows on the target are replaced by those of the source. */
  | 'replace'
  /** Not brought: they follow from what other tables have, and are made again. */
  | 'derive';

/** A table whose rows belong to devices: it is in every shard. */
export interface ShardedTable {
  readonly name: string;
  readonly merge: Merge;
  /** What its key begins with, default `device_key`: then a slot's rows are a range of it. Only what is derived may have another one. */
  readonly keyedBy?: 'check_at';
  /** The day (UTC) that it has a partition for each of. */
  readonly partitionedBy?: 'received_day' | 'created_day' | 'closed_day';
  /** How long a day is kept; what has none lives as long as its device. */
  readonly keptBy?: keyof Retention;
  /** Whether other regions get it. */
  readonly replicates: boolean;
}

/** All of them: what moves slots, drops days, archives or compares goes by this list. A test compares it with the schema. */
export const SHARDED_TABLES: readonly ShardedTable[] = [
  {name: 'device', merge: 'upsert', replicates: true},
  {name: 'device_state', merge: 'upsert', replicates: true},
  {name: 'device_epoch', merge: 'upsert', replicates: true},
  {name: 'device_shadow', merge: 'upsert', replicates: true},
  {name: 'device_status', merge: 'upsert', replicates: true},
  {name: 'device_check', merge: 'derive', keyedBy: 'check_at', replicates: false},
  {name: 'device_recency', merge: 'derive', replicates: false},
  {
    name: 'receipt',
    merge: 'insert',
    partitionedBy: 'received_day',
    keptBy: 'receiptDays',
    replicates: true,
  },
  {name: 'record', merge: 'insert', partitionedBy: 'received_day', keptBy: 'recordDays', replicates: true},
  {
    name: 'quarantine',
    merge: 'insert',
    partitionedBy: 'created_day',
    keptBy: 'quarantineDays',
    replicates: false,
  },
  {name: 'device_refusal', merge: 'replace', replicates: false},
  {name: 'device_command', merge: 'replace', replicates: false},
  {
    name: 'device_command_closed',
    merge: 'insert',
    partitionedBy: 'closed_day',
    keptBy: 'receiptDays',
    replicates: false,
  },
];

/** Those that have a partition for each day. */
export const DAY_TABLES: readonly string[] = SHARDED_TABLES.filter(
  ({partitionedBy}) => partitionedBy !== undefined,
).map(({name}) => name);
