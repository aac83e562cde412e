import {gzipSync} from 'node:zlib';
import {recordsOf} from '../../devices.ts';

/** Bodies that were made before, so that the load generator does not compress while it measures: this many different ones for each batch number. */
const VARIANTS = 64;
/** As the device client does it. */
const GZIP_LEVEL = 5;
const UPTIME_MS = 3_600_000;

/** Compressed bodies of sync calls, as the device client sends them. Those of one device's successive batches fit together. */
export class Bodies {
  readonly #made = new Map<string, Buffer>();
  readonly #recordsPerSync: number;
  readonly #wallMs: number;

  constructor(recordsPerSync: number, wallMs: number) {
    this.#recordsPerSync = recordsPerSync;
    this.#wallMs = wallMs;
  }

  of(device: number, epoch: string, batchSeq: number): Buffer {
    const variant = device % VARIANTS;
    const key = `${epoch} ${batchSeq} ${variant}`;
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const body = {
      epoch,
      batchSeq,
      prevAcked: batchSeq - 1,
      mode: 'delta',
      reason: 'scheduled',
      clock: {now: this.#wallMs, synced: false, uptimeMs: UPTIME_MS},
      state: {v: batchSeq, fw: 'bench-1', temperatureC: 41.5, diskUsed: 0.31},
      records: recordsOf(variant, batchSeq, this.#wallMs, this.#recordsPerSync),
      more: false,
      pull: {},
      stats: {attempt: 1, queued: 0, dropped: 0},
    };
    const made = gzipSync(JSON.stringify(body), {level: GZIP_LEVEL});
    this.#made.set(key, made);
    return made;
  }
}
