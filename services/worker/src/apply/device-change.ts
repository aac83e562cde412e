import {type Batch} from './batch.ts';

/** What the new batches of one device change about it; one row per device, whatever their number. */
export interface DeviceChange {
  readonly deviceId: string;
  readonly deviceKey: number;
  readonly slot: number;
  /** Of the newest of the batches. */
  readonly epoch: number;
  readonly batchSeq: number;
  /** From the newest batch that brought one. */
  readonly state: {readonly json: string; readonly epoch: number; readonly batchSeq: number} | undefined;
  readonly receivedAtMs: number;
  readonly records: number;
  readonly syncs: number;
  /** Whether the last batch could not be applied. */
  readonly rejected: boolean;
  /** Commands that they answer, by their ids. */
  readonly cmdAcks: readonly string[];
}

/** `sorted` by device, epoch and number; so is the result. */
export const summarise = (sorted: readonly Batch[]): readonly DeviceChange[] => {
  const byDevice = new Map<number, DeviceChange>();
  for (const batch of sorted) {
    const {deviceId, deviceKey, slot, epoch, batchSeq, content, receivedAtMs} = batch;
    const before = byDevice.get(deviceKey);
    const json = content.kind === 'good' ? content.state : undefined;
    byDevice.set(deviceKey, {
      deviceId,
      deviceKey,
      slot,
      epoch,
      batchSeq,
      state: json === undefined ? before?.state : {json, epoch, batchSeq},
      receivedAtMs: Math.max(before?.receivedAtMs ?? 0, receivedAtMs),
      records: (before?.records ?? 0) + (content.kind === 'good' ? content.records.length : 0),
      syncs: (before?.syncs ?? 0) + 1,
      rejected: content.kind === 'rejected',
      cmdAcks: [...(before?.cmdAcks ?? []), ...(content.kind === 'good' ? content.cmdAcks : [])],
    });
  }
  return [...byDevice.values()];
};
