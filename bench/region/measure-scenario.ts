import {setTimeout as delay} from 'node:timers/promises';
import {type LoadResult, type Sync} from './load/commands.ts';
import {type LoadProcess} from './load-process.ts';
import {type PodCounts} from './pods.ts';
import {microsPerUnit, ProcessorTime} from './processor-time.ts';
import {type RegionRun} from './report.ts';
import {type BenchRegion} from './region.ts';
import {type Scenario} from './scenarios.ts';

/** How often pods that come and go are looked at. */
const LOOK_MS = 1000;
/** After what was before: caches are written back, and autoscalers forget the processor time of then. */
export const SETTLE_MS = 10_000;

export interface Rig {
  readonly region: BenchRegion;
  readonly load: LoadProcess;
  readonly pods: PodCounts;
}

export const commandOf = ({load, count}: Pick<Scenario, 'load' | 'count'>, isSampled: boolean) =>
  load.kind === 'enrol'
    ? ({do: 'enrol', count, perSecond: load.perSecond} as const)
    : ({
        do: 'sync',
        count,
        perSecond: load.perSecond,
        batchesPerDevice: load.batchesPerDevice,
        isSampled,
      } satisfies Sync);

/** Brings the region to where the scenario begins, carries it out, `during` beside it, and says what came of it and what it cost. */
export const measureScenario = async (
  {region, load, pods}: Rig,
  scenario: Scenario,
  isSampled: boolean,
  during: (scenario: Scenario) => Promise<void>,
): Promise<{readonly run: Omit<RegionRun, 'side' | 'round'>; readonly troubles: LoadResult['troubles']}> => {
  await region.setAutoscaling(scenario.autoscaling);
  await delay(SETTLE_MS);
  await load.watch(await region.shardUrls());

  const time = new ProcessorTime();
  pods.begin();
  const before = time.usage();
  const looking = setInterval(() => time.look(), LOOK_MS);
  let result: LoadResult;
  try {
    [result] = await Promise.all([load.carryOut(commandOf(scenario, isSampled)), during(scenario)]);
  } finally {
    clearInterval(looking);
  }
  const after = time.usage();
  const seen = pods.seen;
  const visible = await load.visible();
  const {done, failed, retries, seconds, sent, accept, applied, timeline, loadMicros, troubles} = result;
  return {
    run: {
      scenario: scenario.name,
      duePerSecond: scenario.load.perSecond,
      ...{done, failed, retries, seconds, sent, accept, applied, visible, timeline},
      cpuMicros: microsPerUnit(before, after, loadMicros, done),
      pods: seen,
    },
    troubles,
  };
};
