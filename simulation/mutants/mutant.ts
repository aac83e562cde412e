import {type HttpReply} from '@pisync/agent/client/answer';
import {type Call} from '@pisync/agent/client/transport';
import {type Delivery} from '@pisync/core/broker/consumer';
import {type Publisher} from '@pisync/core/broker/publisher';
import {type ShardStore} from '@pisync/worker/apply/shard-store';
import {type PositionHint} from '@pisync/core/cache/position-hint';
import {type Locking} from '../shard/shard-store.ts';

/** What Redis says of a device's position. */
export type HintOf = (deviceKey: number) => PositionHint['applied'];

/** A mistake that somebody could make, put around a port of a world. The laws have to catch it. */
export interface Mutant {
  readonly name: string;
  readonly locking?: Locking;
  readonly isSplit?: boolean;
  readonly store?: (store: ShardStore, hintOf: HintOf) => ShardStore;
  /** Of device-api. */
  readonly publisher?: (publisher: Pick<Publisher, 'publish'>) => Pick<Publisher, 'publish'>;
  /** For a worker's confirms, after which it publishes anew. */
  readonly workerConfirmTimeoutMs?: number;
  readonly delivery?: (delivery: Delivery) => Delivery;
  /** Of a device, that takes the second for the answer to the first. */
  readonly reply?: (call: Call, reply: HttpReply) => HttpReply;
}
