/** Many devices in one process: all enrol, then each sends its batches when they are due, and tries again until it is told 2xx or the time is up. */
import {Device, type Clock, type DeviceOptions, type Observer} from '../client/device.ts';
import {Outbox} from '../client/outbox.ts';
import type {Transport} from '../client/transport.ts';
import {ledgerObserver, type LedgerWriter} from '../ledger/writer.ts';
import {arrivalMs} from './arrivals.ts';
import {readingsOf, type Series} from './series.ts';
import {Tally, type FleetReport} from './tally.ts';

export interface FleetOptions {
  readonly devices: number;
  /** Syncs of each device. */
  readonly batches: number;
  /** Records of each batch. */
  readonly records: number;
  /** The syncs become due within this time. */
  readonly durationMs: number;
  readonly rampMs: number;
  /** How long after the last due time a batch may still be retried; the enrolment of all has as much. */
  readonly deadlineMs: number;
  /** Names the devices: the same run name is the same devices, on re-imaged cards. */
  readonly run: string;
  readonly device: Omit<DeviceOptions, 'profile'>;
}

export interface FleetParts {
  readonly options: FleetOptions;
  readonly series: Series;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: () => number;
  readonly newSecret: () => string;
  readonly ledger: LedgerWriter | undefined;
  /** Resolves after `ms`, or at once when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  readonly progress: (phase: 'enrol' | 'sync', tally: Tally, options: FleetOptions) => void;
  readonly progressEveryMs: number;
}

const both = (first: Observer, second: Observer | undefined): Observer =>
  second === undefined
    ? first
    : {
        ...first,
        sending: (device, batch, hash) => second.sending?.(device, batch, hash),
        answered: (device, batch, hash, answer, tookMs) => {
          first.answered?.(device, batch, hash, answer, tookMs);
          second.answered?.(device, batch, hash, answer, tookMs);
        },
        applied: (device, batch, hash) => {
          first.applied?.(device, batch, hash);
          second.applied?.(device, batch, hash);
        },
      };

/** It is enrolled, and has heard that its numbers are free. */
const isReady = ({session}: Device): boolean => session.phase === 'sync' && session.isPositionKnown;

class Simulated {
  readonly device: Device;
  readonly #index: number;
  readonly #parts: FleetParts;
  #sent = 0;
  #dueMs = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(index: number, parts: FleetParts, tally: Tally, ledger: Observer | undefined) {
    const {options, transport, clock, random, newSecret, series} = parts;
    this.#index = index;
    this.#parts = parts;
    const none = Promise.resolve();
    this.device = new Device({
      identity: {hardwareId: `sim-${options.run}-${index}`, pending: {secret: newSecret()}},
      outbox: new Outbox(),
      memory: {saveIdentity: () => none, append: () => none, setAside: () => Promise.resolve(true)},
      transport,
      clock,
      random,
      newSecret,
      readState: () => {
        const hour = series[(index + this.#sent) % series.length];
        return {v: this.#sent, fw: 'fleet-1', ...hour};
      },
      observer: both(
        tally.observer(() => this.#dueMs),
        ledger,
      ),
      options: {...options.device, profile: {name: `sim-${index}`, model: 'simulated', tags: {run: options.run}}},
    });
  }

  /** Steps until `done`, or the deadline, or the signal. */
  async drive(done: () => boolean, deadlineMs: number): Promise<boolean> {
    const {clock, sleep, signal} = this.#parts;
    while (!done()) {
      const nowMs = clock.monotonicMs();
      if (signal.aborted || nowMs >= deadlineMs) return false;
      const nextMs = await this.device.step();
      // Half a millisecond is how early a timer may fire.
      if (nextMs > clock.monotonicMs()) await sleep(Math.min(nextMs, deadlineMs) - clock.monotonicMs() + 1, signal);
    }
    return true;
  }

  enrol(deadlineMs: number): Promise<boolean> {
    return this.drive(() => isReady(this.device), deadlineMs);
  }

  /** Queues one sync behind those of this device that are not finished. */
  sync(dueMs: number, deadlineMs: number): Promise<void> {
    const {options, series, clock} = this.#parts;
    this.#last = this.#last.then(async () => {
      this.#dueMs = dueMs;
      const readings = readingsOf(series, this.#index, this.#sent * options.records, options.records, clock.wallMs());
      this.#sent += 1;
      await this.device.record(readings);
      this.device.wakeUp('scheduled');
      const {outbox} = this.device;
      await this.drive(() => outbox.toSend === undefined && outbox.queued === 0, deadlineMs);
    });
    return this.#last;
  }
}

/** Runs the fleet to its end, or until the signal. Never rejects because of what the region answers. */
export const runFleet = async (parts: FleetParts): Promise<FleetReport> => {
  const {options, clock, signal, sleep} = parts;
  const nowMs = (): number => clock.monotonicMs();
  const tally = new Tally(nowMs);
  const ledger = parts.ledger === undefined ? undefined : ledgerObserver(parts.ledger, () => clock.wallMs());
  let phase: 'enrol' | 'sync' = 'enrol';
  const ticker = setInterval(() => parts.progress(phase, tally, options), parts.progressEveryMs);
  try {
    const startMs = nowMs();
    const fleet = Array.from({length: options.devices}, (_, index) => new Simulated(index, parts, tally, ledger));
    const enrolDeadlineMs = startMs + options.deadlineMs;
    await Promise.all(fleet.map((simulated) => simulated.enrol(enrolDeadlineMs)));
    tally.enrolMs = nowMs() - startMs;

    phase = 'sync';
    const ready = fleet.filter(({device}) => isReady(device));
    const syncStartMs = nowMs();
    const deadlineMs = syncStartMs + options.durationMs + options.deadlineMs;
    const total = ready.length * options.batches;
    const running: Promise<void>[] = [];
    for (let number = 0; number < total; number++) {
      const dueMs = syncStartMs + arrivalMs(number / total, options);
      if (dueMs > nowMs()) await sleep(dueMs - nowMs(), signal);
      if (signal.aborted) break;
      const simulated = ready[number % ready.length];
      if (simulated === undefined) break;
      tally.due += 1;
      tally.records += options.records;
      running.push(simulated.sync(dueMs, deadlineMs));
    }
    await Promise.all(running);
    tally.syncMs = nowMs() - syncStartMs;
    parts.progress(phase, tally, options);
    return tally.report(options.devices, signal.aborted);
  } finally {
    clearInterval(ticker);
  }
};
