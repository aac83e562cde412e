import {type Percentiles} from '@pisync/agent/fleet/latency';

/** What `make bench REGION=1` writes to out/bench-region.json. */
export interface RegionReport {
  readonly startedAt: string;
  readonly machine: {
    readonly processor: string;
    readonly processors: number;
    readonly loadAverageBefore: readonly number[];
    readonly kernel: string;
    readonly kubernetes: string;
  };
  /** That were begun. */
  readonly rounds: number;
  /** V8's profiler ran in a device-api and a worker pod meanwhile, which costs them time. */
  readonly profiled: boolean;
  readonly recordsPerSync: number;
  /** One, or two with --compare: `before` and `now`. */
  readonly sides: readonly {readonly name: string; readonly revision: string}[];
  readonly scenarios: readonly {readonly name: string; readonly title: string}[];
  readonly runs: readonly RegionRun[];
}

/** One scenario on one side in one round. */
export interface RegionRun {
  readonly side: string;
  readonly round: number;
  readonly scenario: string;
  /** Null where all are due at once. */
  readonly duePerSecond: number | null;
  /** Syncs, or enrolments, that got a 2xx. */
  readonly done: number;
  /** Never got one. */
  readonly failed: number;
  readonly retries: number;
  /** From the first due time to the last 2xx. */
  readonly seconds: number;
  /** From when it was due until the load generator sent it for the first time: beyond a few milliseconds it was short of connections or of processor time itself. */
  readonly sent: Percentiles;
  /** From when it was due to its 2xx. */
  readonly accept: Percentiles;
  /** Of a sample, from the 2xx until the batch was committed in its shard. */
  readonly applied: Percentiles | null;
  /** Of a sample, from the 2xx until the admin API showed it. */
  readonly visible: Percentiles | null;
  /** Processor time for one sync or enrolment, in microseconds, by what used it. */
  readonly cpuMicros: Readonly<Record<string, number>>;
  /** By the second in which they were due; `done` by the second in which they got their 2xx. */
  readonly timeline: readonly TimelineSecond[];
  /** Ready pods. */
  readonly pods: readonly PodsSecond[];
}

export interface TimelineSecond {
  readonly second: number;
  readonly due: number;
  readonly done: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface PodsSecond {
  readonly second: number;
  readonly deviceApi: number;
  readonly worker: number;
}
