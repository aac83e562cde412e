/** Counts what happens to a fleet, for the progress line and the report. */
import type {Observer} from '../client/device.ts';
import {Latency, type Percentiles} from './latency.ts';

export interface FleetReport {
  readonly devices: number;
  readonly enrolled: number;
  /** Batches that became due. */
  readonly batches: number;
  readonly records: number;
  /** A 2xx came, or a heartbeat said that they are applied. */
  readonly acked: number;
  /** Due and not acked at the end. */
  readonly unfinished: number;
  readonly requests: number;
  readonly retries: number;
  readonly duplicates: number;
  readonly badRecords: number;
  /** Failed calls by what went wrong. */
  readonly errors: Readonly<Record<string, number>>;
  readonly enrolSeconds: number;
  readonly syncSeconds: number;
  /** From the start of the run to the first 2xx for a batch; null when there was none. */
  readonly firstSyncSeconds: number | null;
  /** From when a batch was due to its 2xx, retries included. */
  readonly accept: Percentiles;
  /** One HTTP call of a sync, whatever its answer. */
  readonly request: Percentiles;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly interrupted: boolean;
}

export class Tally {
  readonly accept = new Latency();
  readonly #request = new Latency();
  readonly #errors = new Map<string, number>();
  readonly #startMs: number;
  readonly #nowMs: () => number;
  #firstAckMs: number | undefined;
  enrolled = 0;
  due = 0;
  records = 0;
  acked = 0;
  requests = 0;
  failures = 0;
  duplicates = 0;
  badRecords = 0;
  enrolMs = 0;
  syncMs = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#startMs = nowMs();
  }

  /** What every device of the fleet reports to. `dueMs` is when its present batch was due. */
  observer(dueMs: () => number): Observer {
    const acked = (): void => {
      this.acked += 1;
      this.#firstAckMs ??= this.#nowMs();
      this.accept.record(this.#nowMs() - dueMs());
    };
    return {
      enrolled: () => {
        this.enrolled += 1;
      },
      answered: (_device, _batch, _hash, answer) => {
        if (answer.kind !== 'accepted') return;
        this.badRecords += answer.bad.size;
        if (answer.sync.duplicate) this.duplicates += 1;
        acked();
      },
      applied: acked,
      called: (what, tookMs, error) => {
        this.requests += 1;
        if (what === 'sync') this.#request.record(tookMs);
        if (error === undefined) return;
        this.failures += 1;
        const key = `${what}: ${error.slice(0, 120)}`;
        this.#errors.set(key, (this.#errors.get(key) ?? 0) + 1);
      },
    };
  }

  report(devices: number, interrupted: boolean): FleetReport {
    const accept = this.accept.percentiles;
    const seconds = (ms: number): number => Math.round(ms) / 1000;
    return {
      devices,
      enrolled: this.enrolled,
      batches: this.due,
      records: this.records,
      acked: this.acked,
      unfinished: this.due - this.acked,
      requests: this.requests,
      retries: this.failures,
      duplicates: this.duplicates,
      badRecords: this.badRecords,
      errors: Object.fromEntries([...this.#errors].sort(([, a], [, b]) => b - a).slice(0, 30)),
      enrolSeconds: seconds(this.enrolMs),
      syncSeconds: seconds(this.syncMs),
      firstSyncSeconds: this.#firstAckMs === undefined ? null : seconds(this.#firstAckMs - this.#startMs),
      accept,
      request: this.#request.percentiles,
      p50Ms: accept.p50Ms,
      p99Ms: accept.p99Ms,
      maxMs: accept.maxMs,
      interrupted,
    };
  }
}
