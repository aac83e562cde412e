import {monitorEventLoopDelay} from 'node:perf_hooks';
import {Gauge, type Registry} from 'prom-client';

/** How late the event loop runs what is due: the first sign of a process that has more work than time. */
export interface EventLoopLag {
  /** 90th percentile in milliseconds over the last window; at most a window old. */
  readonly currentMs: () => number;
  /** What has lasted for some seconds and still does: a cold start or one long collection of garbage is no lack of time. */
  readonly sustainedMs: () => number;
  stop(): void;
}

/** Short enough that admission reacts within a second, long enough for a percentile of some 25 samples. */
const WINDOW_MS = 500;
const RESOLUTION_MS = 20;
/** Weight of the newest window in the average: a lag reaches two thirds of itself there after 2 s. */
const WEIGHT = 0.25;

/** The average that follows the samples, or the newest sample where that is less. */
export const createSustained = (): ((sample: number) => number) => {
  let average = 0;
  return (sample) => {
    average += WEIGHT * (sample - average);
    return Math.min(sample, average);
  };
};

export const watchEventLoopLag = (registry: Registry): EventLoopLag => {
  const histogram = monitorEventLoopDelay({resolution: RESOLUTION_MS});
  histogram.enable();
  let lagMs = 0;
  let sustainedMs = 0;
  const sustained = createSustained();
  const timer = setInterval(() => {
    // The histogram holds the time between samples, of which the resolution itself is no lag. NaN when nothing was sampled.
    const sampledMs = histogram.count === 0 ? RESOLUTION_MS : histogram.percentile(90) / 1e6;
    lagMs = Math.max(0, sampledMs - RESOLUTION_MS);
    sustainedMs = sustained(lagMs);
    histogram.reset();
  }, WINDOW_MS);
  timer.unref();
  const gauge = new Gauge({
    name: 'pisync_event_loop_lag_seconds',
    help: '90th percentile of the event loop lag over the last half second',
    registers: [registry],
    collect() {
      this.set(lagMs / 1000);
    },
  });
  return {
    currentMs: () => lagMs,
    sustainedMs: () => sustainedMs,
    stop() {
      clearInterval(timer);
      histogram.disable();
      gauge.remove();
    },
  };
};
