/** Whether devices are served as fast while something else goes on, such as a slot move or an export: the one way in which that is measured. */
import {spawn} from 'node:child_process';
import {setTimeout as delay} from 'node:timers/promises';
import {type ClusterAccess} from '../../scripts/demo/cluster-access.ts';
import {kill} from '../../scripts/terminal/processes.ts';
import {type LoadResult} from './load/commands.ts';
import {type Rig, SETTLE_MS} from './measure-scenario.ts';
import {type Verdict, verdictOf} from './verdict.ts';

export interface DuringOptions {
  readonly command: string;
  readonly withinPercent: number;
  readonly rounds: number;
  /** Syncs by which it is found out how many the region takes. */
  readonly probe: number;
  readonly seconds: number;
  readonly say: (line: string) => void;
  /** Ends it after the round that it is in. */
  readonly signal: AbortSignal;
}

export interface DuringReport {
  readonly command: string;
  readonly withinPercent: number;
  /** Syncs a second that the region takes, and that were sent. */
  readonly most: number;
  readonly perSecond: number;
  readonly accept: Verdict;
  readonly applied: Verdict;
  /** Syncs of all rounds that were never accepted; those that were not accepted have no time. */
  readonly failed: number;
  readonly rounds: readonly {readonly during: boolean; readonly result: LoadResult}[];
}

interface RunningCommand {
  readonly stop: () => Promise<void>;
}

/** Runs a shell command again and again where kubectl reaches the cluster. @throws Error from `stop` when it, or a part of it, failed */
const startCommand = ({info, namespace}: ClusterAccess, command: string): RunningCommand => {
  const [program, ...args] = [...info.exec, 'sh', '-ec', command] as const;
  const env = {...process.env, KUBECONFIG: info.kubeconfig, PISYNC_BENCH_NAMESPACE: namespace};
  const stopping = new AbortController();
  let end: () => void = () => undefined;
  const runOnce = (): Promise<void> =>
    new Promise((resolve, reject) => {
      // A process group of its own, so that what the shell started ends with it.
      const child = spawn(program, args, {env, detached: true, stdio: ['ignore', 'ignore', 'pipe']});
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)));
      end = () => {
        if (child.pid !== undefined) kill(-child.pid, 'SIGTERM');
      };
      child.once('error', reject);
      child.once('close', (code) => {
        end = () => undefined;
        if (code === 0 || stopping.signal.aborted) resolve();
        else reject(new Error(`"${command}" ended with ${code ?? 'a signal'}: ${said}`));
      });
    });
  const running = (async () => {
    while (!stopping.signal.aborted) await runOnce();
  })();
  // Whoever awaits `stop` is told.
  running.catch(() => undefined);
  return {
    async stop() {
      stopping.abort();
      end();
      await running;
    },
  };
};

/** Stops it also when the work fails. */
const besides = async <T>(other: RunningCommand | undefined, work: () => Promise<T>): Promise<T> => {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    // The work's own error says more.
    await other?.stop().catch(() => undefined);
    throw error;
  }
  await other?.stop();
  return result;
};

/** Half of what the region takes, in rounds with and without, one after the other. */
export const measureDuring = async ({region, load}: Rig, options: DuringOptions): Promise<DuringReport> => {
  const {command, withinPercent, rounds, probe, seconds, say, signal} = options;
  const sync = (count: number, perSecond: number | null) =>
    load.carryOut({do: 'sync', count, perSecond, batchesPerDevice: 2, isSampled: true});
  await load.watch(await region.shardUrls());
  await load.enrol(probe);
  // The first of them meet code that is not warm.
  await sync(probe, null);
  const best = await sync(probe, null);
  const most = best.done / best.seconds;
  const perSecond = Math.max(1, Math.round(most / 2));
  say(`  the region takes ${Math.round(most)} syncs/s; ${perSecond}/s are sent`);
  await load.enrol(Math.ceil((perSecond * seconds) / 2) * rounds * 2);
  const results: {readonly during: boolean; readonly result: LoadResult}[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const during of round % 2 === 0 ? [false, true] : [true, false]) {
      await delay(SETTLE_MS);
      const result = await besides(during ? startCommand(region.cluster, command) : undefined, () =>
        sync(perSecond * seconds, perSecond),
      );
      if (signal.aborted) throw new Error('interrupted');
      results.push({during, result});
      const {accept, applied, failed, troubles} = result;
      say(
        `  round ${round + 1}, ${during ? 'with' : 'without'}: accepted p50 ${accept.p50Ms} p99 ${accept.p99Ms} ms, applied p99 ${applied?.p99Ms ?? 0} ms, ${failed} failed`,
      );
      for (const [what, times] of Object.entries(troubles)) say(`      ${times} × ${what}`);
    }
  }
  const figures = (during: boolean, pick: (result: LoadResult) => number): readonly number[] =>
    results.filter((one) => one.during === during).map(({result}) => pick(result));
  const verdict = (pick: (result: LoadResult) => number): Verdict =>
    verdictOf(figures(false, pick), figures(true, pick), withinPercent);
  return {
    ...{command, withinPercent, most, perSecond, rounds: results},
    accept: verdict(({accept}) => accept.p99Ms),
    applied: verdict(({applied}) => applied?.p99Ms ?? 0),
    failed: results.reduce((sum, {result}) => sum + result.failed, 0),
  };
};
