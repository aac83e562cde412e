import {spawn, type ChildProcess} from 'node:child_process';
import {createInterface} from 'node:readline';
import {type RegionStatus} from '@pisync/operator/api/v1alpha1/status';
import {brokenLaws} from '@pisync/operator/region/testing/status-laws';
import {type KubeObject} from './kubectl.ts';
import {type Region} from './region.ts';
import {until} from './until.ts';

/** Follows every status that a region is given, and holds each to the status laws. */
export interface StatusWatch {
  /** Waits until the operator has looked at a generation, and fails when that takes longer than people should wait. */
  observed(generation: number): Promise<void>;
  /** Broken laws, with the status in which they are; also that nobody looked any more. */
  readonly broken: readonly string[];
  /** What the status said one after the other: phase, and reason and message of Ready. */
  readonly story: readonly string[];
  stop(): void;
}

/** From an edit to a status that is about it. */
const OBSERVED_MS = 10_000;

/** Times are in seconds: of a condition that turns twice in one, the second turn has no time of its own. */
const withoutHasty = (before: RegionStatus | undefined, status: RegionStatus): RegionStatus | undefined =>
  before && {
    ...before,
    conditions: (before.conditions ?? []).filter(({type, lastTransitionTime}) => {
      const now = status.conditions?.find((condition) => condition.type === type)?.lastTransitionTime;
      return now !== lastTransitionTime || Date.now() - Date.parse(now) > 3000;
    }),
  };

export function watchStatus(region: Region): StatusWatch {
  const broken: string[] = [];
  const story: string[] = [];
  let before: RegionStatus | undefined;
  let seen = 0;
  let stopped = false;
  const read = (line: string): void => {
    // kubectl prints the whole object, a line each
    const {metadata, status} = JSON.parse(line) as KubeObject & {readonly status?: RegionStatus};
    // No operator has looked at it yet.
    if (status?.conditions === undefined) return;
    // An edit shows beside the status of the generation before, which is what that status is about.
    seen = status.observedGeneration ?? 0;
    const laws = brokenLaws(status, Math.min(seen, metadata.generation ?? 0), withoutHasty(before, status));
    broken.push(...laws.map((law) => `${law}: ${JSON.stringify(status)}`));
    const ready = status.conditions.find(({type}) => type === 'Ready');
    const told = `${status.phase ?? 'no phase'} ${ready?.reason ?? ''}: ${ready?.message ?? ''}`;
    if (told !== story.at(-1)) story.push(told);
    before = status;
  };
  // By name, kubectl does not print what changes between its first question and its watch. From a list it watches without a gap.
  const only = `--field-selector=metadata.name=${region.name}`;
  const argv = ['-n', region.kubectl.namespace, 'get', 'psr', only, '--watch', '-o', 'jsonpath={}{"\\n"}'];
  const watch = (): ChildProcess => {
    const child = spawn('kubectl', argv, {stdio: ['ignore', 'pipe', 'pipe']});
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    createInterface({input: child.stdout}).on('line', read);
    child.on('close', (code) => {
      if (stopped) return;
      if (code !== 0) broken.push(`kubectl get --watch ended with ${code ?? 'a signal'}: ${said}`);
      // The API server ends watches when the definition changes. What was in between nobody saw.
      before = undefined;
      if (code === 0) running = watch();
    });
    return child;
  };
  let running = watch();
  return {
    broken,
    story,
    observed: async (generation) => {
      await until(
        `generation ${generation} to be observed`,
        () =>
          seen >= generation ? Promise.resolve(true) : Promise.reject(new Error(`generation ${seen}: ${story.at(-1)}`)),
        {timeoutMs: OBSERVED_MS, everyMs: 50},
      );
    },
    stop: () => {
      stopped = true;
      running.kill();
    },
  };
}
