import {monitorEventLoopDelay} from 'node:perf_hooks';
import {Gauge, type Registry} from 'prom-client';

/** How late the event loop runs what is due: the first sign of a process that has more work than time. */
export interface EventLoopLag {
  /** 90th percentile in milliseconds over the last window; at most a window old. */
  readonly currentMs: () => number;
  stop(): void;
}

/** Short enough that admission reacts within a second, long enough for a percentile of some 25 samples. */
const WINDOW_MS = 500;
const RESOLUTION_MS = 20;

export const watchEventLoopLag = (registry: Registry): EventLoopLag => {
  const histogram = monitorEventLoopDelay({resolution: RESOLUTION_MS});
  histogram.enable();
  let lagMs = 0;
  const timer = setInterval(() => {
    // The histogram holds the time between samples, of which the resolution itself is no lag. NaN when nothing was sampled.
    const sampledMs = histogram.count === 0 ? RESOLUTION_MS : histogram.percentile(90) / 1e6;
    lagMs = Math.max(0, sampledMs - RESOLUTION_MS);
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
    stop() {
      clearInterval(timer);
      histogram.disable();
      gauge.remove();
    },
  };
};
