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
  /** Whether it is looked, for a sample of them, when they are applied and visible. */
  readonly isSampled: boolean;
}

/** What became of the last syncs for people: apart, because waiting for an entry of a cache to expire is nobody's processor time. */
interface Visible {
  readonly do: 'visible';
}

export type LoadCommand = Connect | Watch | Enrol | Sync | Visible;

export interface LoadResult extends LoopResult {
  readonly applied: Percentiles | null;
  /** Processor time of the load generator itself. */
  readonly loadMicros: number;
}

/** What comes back for a command: a result for those that load the region, percentiles for `visible`. */
export type LoadAnswer = {readonly result: LoadResult | Percentiles | null} | {readonly error: string};
