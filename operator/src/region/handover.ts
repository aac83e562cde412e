import {z} from 'zod';
import {type KubeObject} from '../kube/object.ts';
import {type RegionContext} from './context.ts';
import {classNameOf} from './entrances.ts';
import {gatewayVerdict} from './gateway-verdict.ts';
import {KINDS} from './kinds.ts';
import {isOfOtherClass} from './manifests/route.ts';
import {isLeaving} from './standing-routes.ts';

const addressSchema = z.object({
  status: z.object({loadBalancer: z.object({ingress: z.array(z.unknown()).min(1)})}),
});

export const hasAddress = (ingress: KubeObject | undefined): boolean => addressSchema.safeParse(ingress).success;

/** Many ingress controllers never give an Ingress an address. Those that make a load balancer for each take some minutes. */
export const PATIENCE_MS = 600_000;

/**
 * A route of the other kind that is there stays until the wanted one has taken over, so that a Gateway or a class that does not exist costs nothing that works:
 * until the Gateway has accepted the HTTPRoute, or the Ingress has an address or is old enough. One that the API server had no class to give to may be served by
 * nobody however old it is.
 */
export interface Handover {
  /** The route that stays. */
  readonly former: KubeObject;
  /** What it waits for. */
  readonly reason: string;
  readonly lookAgainMs?: number;
}

export const handoverOf = (context: RegionContext, name: string, now: Date): Handover | undefined => {
  const {children, spec} = context;
  const {gatewayRef} = spec.ingress;
  const [ingress, httpRoute] = [KINDS.ingress, KINDS.httpRoute].map((kind) => {
    const live = children.find(kind, name);
    return live === undefined || isLeaving(live) ? undefined : live;
  });
  if (gatewayRef !== undefined) {
    return ingress === undefined || gatewayVerdict(httpRoute, gatewayRef).kind === 'accepted'
      ? undefined
      : {former: ingress, reason: `stays until Gateway ${gatewayRef.name} has accepted the HTTPRoute`};
  }
  if (httpRoute === undefined) return undefined;
  const stays = {former: httpRoute, reason: 'stays until the Ingress has an address, or is ten minutes old'};
  if (ingress === undefined || isOfOtherClass(context, ingress)) return stays;
  if (classNameOf(ingress) === undefined && !hasAddress(ingress))
    return {
      former: httpRoute,
      reason:
        'stays until the Ingress has an address, which may never come without a class: name one in ingress.className',
    };
  const leftMs = Date.parse(ingress.metadata.creationTimestamp ?? '') + PATIENCE_MS - now.getTime();
  return hasAddress(ingress) || !(leftMs > 0) ? undefined : {...stays, lookAgainMs: leftMs};
};
