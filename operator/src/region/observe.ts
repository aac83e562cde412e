import {type Cluster} from '../kube/controller.ts';
import {refOf} from '../kube/object.ts';
import {certificateProblem} from './certificate.ts';
import {Children} from './children.ts';
import {hostTaken} from './host-taken.ts';
import {KINDS} from './kinds.ts';
import {type Problem} from './problems.ts';
import {type Region} from './region.ts';

/** Everything a plan is made from, besides the time. */
export interface Observed {
  readonly region: Region;
  readonly children: Children;
  /** Whether the cluster has the Gateway API. */
  readonly gatewayApi: boolean;
  /** Why hosts do not lead here although there is a route for them. */
  readonly routeProblem?: Problem | undefined;
}

export const observeRegion = async (region: Region, cluster: Cluster, signal: AbortSignal): Promise<Observed> => ({
  region,
  children: new Children(await cluster.listOwned(refOf(region.object), signal)),
  gatewayApi: await cluster.serves(KINDS.httpRoute, signal),
  routeProblem:
    hostTaken(region, await cluster.listAll(region.object, signal)) ??
    (await certificateProblem(region, cluster, signal)),
});
