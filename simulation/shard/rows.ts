/** What a simulated shard has on disk. Rows are never changed, only replaced, so a copy of the tables is a backup. */
import {type AppliedNumbers} from '@pisync/worker/apply/applied-numbers';

export interface DeviceRow {
  readonly deviceKey: number;
  readonly deviceId: string;
  readonly slot: number;
  readonly secretHash: Buffer;
  /** The hashes of those before, in hex. */
  readonly replacedSecrets: readonly string[];
  /** The newest that was issued. */
  readonly epoch: number;
}

export interface StateRow {
  readonly deviceId: string;
  readonly epoch: number;
  readonly numbers: AppliedNumbers;
  readonly stateEpoch: number;
  readonly stateSeq: number;
  readonly recordsTotal: number;
  readonly syncsTotal: number;
}

export interface ReceiptRow {
  readonly deviceKey: number;
  readonly epoch: number;
  readonly batchSeq: number;
  readonly day: string;
  readonly contentHash: Buffer;
  readonly outcome: 'applied' | 'rejected';
  readonly recordCount: number;
  readonly badCount: number;
}

export interface RecordRow {
  readonly deviceKey: number;
  readonly epoch: number;
  readonly batchSeq: number;
  readonly ordinal: number;
  readonly seq: number;
  readonly data: string | undefined;
}

export interface KeptRow {
  readonly deviceKey: number;
  readonly epoch: number;
  readonly batchSeq: number;
  readonly kind: 'record' | 'batch' | 'conflict' | 'unproved';
  readonly reason: string;
  readonly contentHash: Buffer;
  /** JSON. */
  readonly detail: string;
}

interface CommandRow {
  readonly deviceKey: number;
  readonly type: 'sync.full' | 'sync.delta' | 'epoch.new';
  readonly commandId: string;
  readonly requestId: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly priority: 'high' | 'normal';
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly deliveredAtMs: number | undefined;
}

export interface Tables {
  /** By device id. */
  readonly devices: Map<string, DeviceRow>;
  /** By device key. */
  readonly states: Map<number, StateRow>;
  /** By {@link epochName}. */
  readonly epochs: Map<string, AppliedNumbers>;
  /** By {@link batchName} and day. */
  readonly receipts: Map<string, ReceiptRow>;
  readonly records: RecordRow[];
  readonly kept: KeptRow[];
  /** By device key: JSON of what the device said of itself. */
  readonly shadows: Map<number, string>;
  /** By device key. */
  readonly conflicts: Map<number, number>;
  /** By device key and type. */
  readonly commands: Map<string, CommandRow>;
  /** Days (UTC) that have partitions. */
  readonly days: Set<string>;
}

export const epochName = (deviceKey: number, epoch: number): string => `${deviceKey}/${epoch}`;
export const batchName = (deviceKey: number, epoch: number, batchSeq: number): string =>
  `${deviceKey}/${epoch}/${batchSeq}`;

export const emptyTables = (): Tables => ({
  devices: new Map(),
  states: new Map(),
  epochs: new Map(),
  receipts: new Map(),
  records: [],
  kept: [],
  shadows: new Map(),
  conflicts: new Map(),
  commands: new Map(),
  days: new Set(),
});

export const copyTables = (tables: Tables): Tables => ({
  devices: new Map(tables.devices),
  states: new Map(tables.states),
  epochs: new Map(tables.epochs),
  receipts: new Map(tables.receipts),
  records: [...tables.records],
  kept: [...tables.kept],
  shadows: new Map(tables.shadows),
  conflicts: new Map(tables.conflicts),
  commands: new Map(tables.commands),
  days: new Set(tables.days),
});
