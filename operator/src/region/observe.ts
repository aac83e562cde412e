import {type Cluster} from '../kube/controller.ts';
import {refOf} from '../kube/object.ts';
import {certificateProblem} from './certificate.ts';
import {Children} from './children.ts';
import {type FactsAges} from './facts.ts';
import {hostTaken} from './host-taken.ts';
import {KINDS} from './kinds.ts';
import {type Problem} from './problems.ts';
import {type Region} from './region.ts';

/** Everything a plan is made from, besides the time. */
export interface Observed {
  readonly region: Region;
  readonly children: Children;
  /** For how long its facts have been the same. */
  readonly factsAgeMs: number;
  /** Whether the cluster has the Gateway API. */
  readonly gatewayApi: boolean;
  /** Why hosts do not lead here although there is a route for them. */
  readonly routeProblem?: Problem | undefined;
}

export const observeRegion = async (
  region: Region,
  cluster: Cluster,
  ages: FactsAges,
  signal: AbortSignal,
): Promise<Observed> => {
  const regions = await cluster.listAll(region.object, signal);
  const children = new Children(await cluster.listOwned(refOf(region.object), signal));
  return {
    region,
    children,
    factsAgeMs: ages.ageMs(region, children, regions),
    gatewayApi: await cluster.serves(KINDS.httpRoute, signal),
    routeProblem: hostTaken(region, regions) ?? (await certificateProblem(region, cluster, signal)),
  };
};
