/** What the benchmark and its load generator say to each other, one JSON object a line. */
import {type Percentiles} from '@pisync/agent/fleet/latency';
import {type LoopResult} from './open-loop.ts';

export interface Connect {
  readonly do: 'connect';
  /** The ingress. */
  readonly url: string;
  readonly host: string;
  readonly adminHost: string;
  readonly enrolmentToken: string;
  readonly adminToken: string;
  readonly recordsPerSync: number;
}

/** Where batches are looked for once they are accepted. */
interface Watch {
  readonly do: 'watch';
  readonly shardUrls: readonly string[];
}

/** New devices. `perSecond` null: all are due at once. */
export interface Enrol {
  readonly do: 'enrol';
  readonly count: number;
  readonly perSecond: number | null;
}

/** Syncs of devices that have not synced before, each device at most `batchesPerDevice` times. `perSecond` null: all are due at once, so that the rate is what the region takes. */
export interface Sync {
  readonly do: 'sync';
  readonly count: number;
  readonly perSecond: number | null;
  readonly batchesPerDevice: number;
}

export type LoadCommand = Connect | Watch | Enrol | Sync;

export interface LoadResult extends LoopResult {
  readonly applied: Percentiles | null;
  readonly visible: Percentiles | null;
  /** Processor time of the load generator itself. */
  readonly loadMicros: number;
}

/** What comes back for a command; a result for those that load the region. */
export type LoadAnswer = {readonly result: LoadResult | null} | {readonly error: string};
