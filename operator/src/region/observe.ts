import {type Cluster} from '../kube/controller.ts';
import {Children} from './children.ts';
import {type EntranceSeen, observeEntrance} from './entrance.ts';
import {type FactsAges} from './facts.ts';
import {KINDS} from './kinds.ts';
import {type MissingPods} from './missing-pods.ts';
import {type Region} from './region.ts';
import {observeUnmarked} from './unmarked.ts';

/**
 * Everything a plan is made from, besides the time. What is read and not watched is a result of its own (reading.ts), so that no failing read stops a pass, but
 * for the one without which a plan would be wrong (unmarked.ts).
 */
export interface Observed {
  readonly region: Region;
  readonly children: Children;
  /** For how long its facts have been the same. */
  readonly factsAgeMs: number;
  readonly entrance: EntranceSeen;
  /** What could not be read of a volume claim or a StatefulSet. */
  readonly unread: string | undefined;
}

/** What is remembered from pass to pass, because no object says it. */
export interface Ages {
  readonly facts: FactsAges;
  readonly missingPods: MissingPods;
}

export const observeRegion = async (
  region: Region,
  cluster: Pick<Cluster, 'read' | 'listOwned' | 'listAll' | 'unseen' | 'serves' | 'followedMs'>,
  {facts, missingPods}: Ages,
  signal: AbortSignal,
): Promise<Observed> => {
  const regions = await cluster.listAll(region.object, signal);
  const owned = await cluster.listOwned(region.object, signal);
  const [unmarked, entrance] = await Promise.all([
    observeUnmarked(region, new Children(owned), cluster, signal),
    observeEntrance(region, regions, cluster, signal),
  ]);
  const objects = [...owned, ...unmarked.found];
  const children = new Children(objects, missingPods.agesMs(region.object, new Children(objects), regions));
  return {
    region,
    children,
    factsAgeMs: facts.ageMs(region, children, regions, cluster.followedMs(KINDS.configMap, region.namespace)),
    entrance,
    unread: unmarked.doubt,
  };
};
