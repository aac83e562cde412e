import {setTimeout as pause} from 'node:timers/promises';
import {deliver} from './deliver.ts';
import {faultOf, nameOf} from './hostile-call.ts';
import {callNumber} from './kinds.ts';
import {type Api, type Loot, targetOf} from './targets.ts';

export interface Attack {
  readonly api: Api;
  readonly port: number;
  readonly loot: Loot;
  readonly seed: number;
  readonly calls: number;
  /** On the average; they come in volleys of {@link VOLLEY}. */
  readonly perSecond: number;
}

export interface Casualties {
  /** How often each outcome was seen, by kind. */
  readonly seen: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** What should not have been: number of the call, its kind and what came of it. */
  readonly faults: readonly string[];
  readonly seconds: number;
}

/** So many are begun at the same moment. */
const VOLLEY = 20;
/** More are waited for. Twice as many as the slow ones of a call rate of a hundred a second. */
const MOST_OPEN = 1_000;
const MOST_FAULTS = 50;

/** Makes the calls of a seed. */
export const attack = async ({api, port, loot, seed, calls, perSecond}: Attack): Promise<Casualties> => {
  const target = targetOf(api, `127.0.0.1:${port}`, loot);
  const seen: Record<string, Record<string, number>> = {};
  const faults: string[] = [];
  const open = new Set<Promise<void>>();
  const make = async (number: number): Promise<void> => {
    const call = callNumber(seed, number, api, target);
    const outcome = await deliver(port, call);
    const name = nameOf(outcome);
    const ofKind = (seen[call.kind] ??= {});
    ofKind[name] = (ofKind[name] ?? 0) + 1;
    const fault = faultOf(call.expects, outcome);
    if (fault !== undefined && faults.length < MOST_FAULTS) {
      faults.push(`call ${number} of seed ${seed}, ${call.kind}: ${fault} (${name})`);
    }
  };
  const beganMs = performance.now();
  for (let number = 0; number < calls; number++) {
    if (number % VOLLEY === 0) {
      const earlyMs = beganMs + (number / perSecond) * 1000 - performance.now();
      if (earlyMs > 0) await pause(earlyMs);
    }
    while (open.size >= MOST_OPEN) await Promise.race(open);
    const one = make(number).finally(() => open.delete(one));
    open.add(one);
  }
  await Promise.all(open);
  return {seen, faults, seconds: (performance.now() - beganMs) / 1000};
};

/** A line for each kind. */
export const tableOf = ({seen, seconds}: Pick<Casualties, 'seen' | 'seconds'>): string => {
  const lines = Object.entries(seen)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([kind, outcomes]) => {
      const counts = Object.entries(outcomes).toSorted(([, a], [, b]) => b - a);
      const sum = counts.reduce((total, [, count]) => total + count, 0);
      return `  ${kind.padEnd(75)} ${String(sum).padStart(5)}  ${counts.map(([name, count]) => `${name}: ${count}`).join(', ')}`;
    });
  return [...lines, `  in ${seconds.toFixed(1)} s`, ''].join('\n');
};
