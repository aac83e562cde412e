/** What devices sent and what they were told, as seen from outside. */
import {type Batch} from '@pisync/agent/client/outbox';
import {type Promise2xx} from '../processes/device-api.ts';

interface Sent {
  /** JSON; undefined when the batch brought none. */
  readonly state: string | undefined;
  readonly records: number;
  /** What a database keeps of them, as it has it. */
  readonly readings: readonly string[];
}

export interface Ledger {
  sending(deviceId: string, batch: Batch, hash: string): void;
  promised(promise: Promise2xx): void;
  /** By {@link contentName}. */
  readonly sent: ReadonlyMap<string, Sent>;
  /** By device id, without repetitions. */
  readonly promises: ReadonlyMap<string, ReadonlyMap<string, Promise2xx>>;
}

export const contentName = (deviceId: string, epoch: number, batchSeq: number, hash: string): string =>
  `${deviceId}/${epoch}/${batchSeq}/${hash}`;

/** `e12` on the wire is 12 in a shard. */
export const ordinalOf = (epoch: string): number => Number(epoch.slice(1));

export const createLedger = (): Ledger => {
  const sent = new Map<string, Sent>();
  const promises = new Map<string, Map<string, Promise2xx>>();
  return {
    sending(deviceId, {epoch, batchSeq, state, records}, hash) {
      sent.set(contentName(deviceId, ordinalOf(epoch), batchSeq, hash), {
        state: state === undefined ? undefined : JSON.stringify(state),
        records: records.length,
        readings: records.filter(({d}) => d.text === undefined).map(({d}) => JSON.stringify(d)),
      });
    },
    promised(promise) {
      const {deviceId, epoch, batchSeq, contentHash} = promise;
      const ofDevice = promises.get(deviceId) ?? new Map<string, Promise2xx>();
      promises.set(deviceId, ofDevice);
      ofDevice.set(contentName(deviceId, ordinalOf(epoch), batchSeq, contentHash), promise);
    },
    sent,
    promises,
  };
};
