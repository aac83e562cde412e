import {FACTS_KEY, type Facts, factsSchema, MOST_FACTS} from '@pisync/contract/facts';
import {type Clock} from '../kube/clock.ts';
import {oneLine} from '../kube/errors.ts';
import {type KubeObject} from '../kube/object.ts';
import {type Children} from './children.ts';
import {KINDS} from './kinds.ts';
import {namesOf} from './names.ts';
import {type Region} from './region.ts';

/**
 * How long facts count. The keeper writes them once a minute and whenever they change; what remains is room for its restart, in which it stops for up
 * to 45 s.
 */
export const FACTS_LAST_MS = 120_000;

/** The reasons of conditions that would need facts: there are only old ones, or a text that is none. */
export const KEEPER_SILENT = 'KeeperSilent';
export const FACTS_UNREADABLE = 'FactsUnreadable';

/** Whether a reason says no more than that nothing is known. */
export const isWithoutFacts = (reason: string): boolean => reason === KEEPER_SILENT || reason === FACTS_UNREADABLE;

/**
 * What the region says of itself, and whether that counts.
 *
 * - `unwanted`: there are none, and no keeper that could write them.
 * - `awaited`: there are none yet; the keeper runs and has a moment for its first look.
 * - `untimed`: of a keeper of an earlier version, which tries nothing and says no time.
 * - `fresh`: what was tried within the last minute, or was when it was last written.
 * - `stale`: nothing was heard for two minutes, so nothing is known but what pods look like: there are no facts then.
 */
export interface RegionFacts {
  readonly facts: Facts | undefined;
  /** What is wrong with the text that stands in their place. The keeper writes over it within a minute. */
  readonly problem: string | undefined;
  readonly standing: 'unwanted' | 'awaited' | 'untimed' | 'fresh' | 'stale';
}

const readFacts = (regionName: string, children: Children): Pick<RegionFacts, 'facts' | 'problem'> => {
  const name = namesOf(regionName).facts;
  const text = children.configMap(name)?.[FACTS_KEY];
  if (text === undefined) return {facts: undefined, problem: undefined};
  const unfit = (what: string) => ({facts: undefined, problem: `${FACTS_KEY} of ConfigMap ${name} ${what}`});
  if (text.length > MOST_FACTS) {
    return unfit(`has ${text.length} characters and is not read; a keeper writes no more than ${MOST_FACTS}`);
  }
  const facts = parsed(text);
  return facts === undefined ? unfit('is not what a keeper writes') : {facts, problem: undefined};
};

const parsed = (text: string): Facts | undefined => {
  try {
    // Its words go into conditions, and somebody else than the keeper may have written them.
    const decoded: unknown = JSON.parse(text, (_key, value: unknown) =>
      typeof value === 'string' ? oneLine(value) : value,
    );
    return factsSchema.safeParse(decoded).data;
  } catch {
    return undefined;
  }
};

const keeperRuns = (regionName: string, children: Children): boolean =>
  (children.workload(KINDS.deployment, namesOf(regionName).keeper)?.status.availableReplicas ?? 0) > 0;

/** `ageMs`: for how long this, or that there is none, has been the same ({@link FactsAges}). */
export const judgeFacts = (regionName: string, children: Children, ageMs: number): RegionFacts => {
  const read = readFacts(regionName, children);
  if (read.facts === undefined && !keeperRuns(regionName, children)) return {...read, standing: 'unwanted'};
  if (read.facts !== undefined && read.facts.checkedAt === undefined) return {...read, standing: 'untimed'};
  if (ageMs >= FACTS_LAST_MS) return {...read, facts: undefined, standing: 'stale'};
  return {...read, standing: read.facts === undefined ? 'awaited' : 'fresh'};
};

/** When facts that count now will not any more; empty when none do. */
export const factsExpireInMs = ({standing}: RegionFacts, ageMs: number): readonly number[] =>
  standing === 'fresh' || standing === 'awaited' ? [FACTS_LAST_MS - ageMs] : [];

interface Seen {
  readonly sign: string;
  readonly sinceMs: number;
}

/**
 * How old facts are. The keeper's clock says when it looked, and no clock of another machine is believed: what counts is for how long this process has
 * not seen that time change. An operator that has just started therefore gives two minutes, unless the one before had given up already.
 */
export class FactsAges {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  /** By the region's uid. */
  readonly #seen = new Map<string, Seen>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /**
   * `regions`: all that there are; the others are forgotten. `followedMs`: for how long they could be seen; while the API server is away the keeper cannot write,
   * so that is no silence of the keeper's. Who had been given up stays so.
   */
  ageMs(region: Region, children: Children, regions: readonly KubeObject[], followedMs: number): number {
    const nowMs = this.#clock.monotonicMs();
    const {uid} = region.object.metadata;
    const sign =
      readFacts(region.name, children).facts?.checkedAt ?? (keeperRuns(region.name, children) ? 'awaited' : '');
    const known = this.#seen.get(uid);
    const sinceMs = known === undefined && hadGivenUp(region) ? -Infinity : nowMs;
    const seen = known?.sign === sign ? known : {sign, sinceMs};
    this.#seen.set(uid, seen);
    forgetGone(this.#seen, uid, regions);
    const ageMs = nowMs - seen.sinceMs;
    return hadGivenUp(region) ? ageMs : Math.min(ageMs, followedMs);
  }
}

/** Forgets, of what is remembered by a region's uid, all but that of `own` and of `regions`, which are all that there are. */
export const forgetGone = (memory: Map<string, unknown>, own: string, regions: readonly KubeObject[]): void => {
  if (memory.size <= regions.length + 1) return;
  const live = new Set(regions.map(({metadata}) => metadata.uid));
  for (const uid of memory.keys()) if (uid !== own && !live.has(uid)) memory.delete(uid);
};

const hadGivenUp = ({status}: Region): boolean =>
  status.conditions?.some(({reason}) => isWithoutFacts(reason)) === true;
