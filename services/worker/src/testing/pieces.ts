import {encodeBundle} from '@pisync/core/broker/bundle';
import {type Delivery} from '@pisync/core/broker/consumer';
import {type Batch} from '../apply/batch.ts';
import {type Arrival, openParcel, type Piece} from '../intake/parcel.ts';
import {batchOf, itemOf} from './batches.ts';

/** A delivery that a test holds, and what became of it. */
export interface TestDelivery {
  readonly pieces: readonly Piece[];
  readonly outcome: () => 'open' | 'acked' | 'requeued';
  /** As if its channel ended. */
  lose(): void;
}

export interface DeliveryFixture extends Partial<Arrival> {
  readonly batches: readonly Batch[];
  readonly routingKey?: string;
  readonly attempt?: number;
}

export const deliver = ({
  batches,
  routingKey = 'p00.normal',
  attempt = 0,
  ...arrival
}: DeliveryFixture): TestDelivery => {
  let outcome: 'open' | 'acked' | 'requeued' = 'open';
  let isLost = false;
  const delivery: Delivery = {
    queue: `test.${routingKey}`,
    routingKey,
    content: encodeBundle(batches.map(itemOf)),
    attempt,
    returned: 0,
    isLost: () => isLost,
    ack: () => (outcome = 'acked'),
    requeue: () => (outcome = 'requeued'),
  };
  const {pieces} = openParcel(delivery, {isUrgent: false, isParked: false, takenAtMs: 0, ...arrival}, () => undefined);
  return {
    pieces,
    outcome: () => outcome,
    lose() {
      isLost = true;
    },
  };
};

/** Of the devices of {@link batchesOf}. */
export const deviceIdOf = (deviceKey: number): string => `device-${deviceKey - 1}`;

/** Batches of as many devices, all of them in one slot. */
export const batchesOf = (count: number, slot = 0): readonly Batch[] =>
  Array.from({length: count}, (_, index) =>
    batchOf({device: {deviceId: deviceIdOf(index + 1), deviceKey: index + 1, slot}, batchSeq: 1}),
  );

/** A batch whose one record has so many bytes. */
export const largeBatch = (bytes: number): Batch =>
  batchOf({
    device: {deviceId: 'device-large', deviceKey: 1, slot: 0},
    batchSeq: 1,
    records: [{s: 1, k: 'text', d: 'x'.repeat(bytes)}],
  });
