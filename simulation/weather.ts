/** Which faults there are in a run, and how bad they are. Each run has only some, so that one does not hide what another would show. */
import {type Random} from './random.ts';

export interface Weather {
  /** Requests or answers between device and device-api. */
  lost: number;
  /** Requests that come a second time. */
  doubled: number;
  /** Answers in place of which an earlier one comes, of whatever device. */
  mixed: number;
  slowMs: number;
  /** Confirms that are lost or late. */
  confirm: number;
  /** Messages that are kept twice. */
  kept: number;
  /** Messages that come again after their ack. */
  again: number;
  /** When at the latest. */
  againMs: number;
  /** Connections to shards that break around a statement. */
  breakage: number;
  /** How late a write to Redis may be. */
  cacheMs: number;
}

export const calm = (): Weather => ({
  lost: 0,
  doubled: 0,
  mixed: 0,
  slowMs: 20,
  confirm: 0,
  kept: 0,
  again: 0,
  againMs: 1,
  breakage: 0,
  cacheMs: 5,
});

export const drawWeather = (random: Random): Weather => {
  const some = (probability: number, most: number): number => (random.chance(probability) ? random.next() * most : 0);
  return {
    lost: some(0.6, 0.2),
    doubled: some(0.6, 0.3),
    mixed: some(0.3, 0.3),
    slowMs: random.chance(0.4) ? 4_000 : 60,
    confirm: some(0.5, 0.2),
    kept: some(0.5, 0.5),
    again: some(0.6, 0.4),
    // Also while the first delivery is only just being committed.
    againMs: random.chance(0.5) ? 400 : 120_000,
    breakage: some(0.5, 0.05),
    cacheMs: random.chance(0.5) ? 20_000 : 5,
  };
};
