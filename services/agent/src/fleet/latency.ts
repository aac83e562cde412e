/** Latencies in an HDR histogram: 1 µs to 1 h, three significant digits. */
import {build, type Histogram} from 'hdr-histogram-js';

const MICROS_PER_MS = 1000;
const MAX_MS = 3600_000;

export interface Percentiles {
  readonly count: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

export class Latency {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: MAX_MS * MICROS_PER_MS,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 64,
  });

  record(ms: number): void {
    this.#histogram.recordValue(Math.min(Math.max(Math.round(ms * MICROS_PER_MS), 1), MAX_MS * MICROS_PER_MS));
  }

  get percentiles(): Percentiles {
    const at = (percentile: number): number =>
      Math.round(this.#histogram.getValueAtPercentile(percentile) / 10) / (MICROS_PER_MS / 10);
    return {
      count: this.#histogram.totalCount,
      p50Ms: at(50),
      p90Ms: at(90),
      p99Ms: at(99),
      p999Ms: at(99.9),
      maxMs: at(100),
    };
  }
}
