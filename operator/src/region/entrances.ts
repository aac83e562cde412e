import {z} from 'zod';
import {type RegionStatus} from '../api/v1alpha1/status.ts';
import {type Kind, type ObjectMeta} from '../kube/object.ts';
import {KINDS} from './kinds.ts';
import {type Component} from './labels.ts';

/**
 * A host at an entrance, which is an Ingress class or a Gateway. The same host at two entrances may lead to two places on purpose. With neither it is at an
 * Ingress class that is not known: the API server gives the default one when the Ingress is made.
 */
export type HostAt = NonNullable<RegionStatus['hosts']>[number];

/** A host that the spec wants at an entrance, and the name of its Service and its route. */
export interface WantedHost {
  readonly name: string;
  readonly component: Component;
  readonly at: HostAt;
}

export const hostAtClass = (host: string, className: string | undefined): HostAt =>
  className === undefined ? {host} : {host, className};

/** `namespace`: of what refers to the Gateway. */
export const gatewayText = (
  {name, namespace}: {readonly name: string; readonly namespace?: string | undefined},
  from: string,
): string => `${namespace ?? from}/${name}`;

/** Whether `b` is at the entrance of `a`; where the class of `a` is not known, at any class. */
export const covers = (a: HostAt, b: HostAt): boolean =>
  a.host === b.host && a.gateway === b.gateway && (a.className === undefined || a.className === b.className);

export const isSame = (a: HostAt, b: HostAt): boolean => covers(a, b) && covers(b, a);

/** For people. */
export const entranceText = ({className, gateway}: HostAt): string => {
  if (gateway !== undefined) return `Gateway ${gateway}`;
  return className === undefined ? 'the default Ingress class' : `Ingress class ${className}`;
};

const ingressSchema = z.object({
  spec: z.object({
    ingressClassName: z.string().optional(),
    rules: z.array(z.object({host: z.string().optional()})).default([]),
  }),
});

const httpRouteSchema = z.object({
  spec: z.object({
    parentRefs: z.array(z.object({name: z.string(), namespace: z.string().optional()})).default([]),
    hostnames: z.array(z.string()).default([]),
  }),
});

export const classNameOf = (ingress: unknown): string | undefined =>
  ingressSchema.safeParse(ingress).data?.spec.ingressClassName;

/** The hosts that a route leads somewhere, at each of its entrances. */
export const ledBy = (route: Kind & {readonly metadata: ObjectMeta}): readonly HostAt[] => {
  if (route.kind === KINDS.ingress.kind) {
    const {ingressClassName, rules = []} = ingressSchema.safeParse(route).data?.spec ?? {};
    return rules.flatMap(({host}) => (host === undefined ? [] : [hostAtClass(host, ingressClassName)]));
  }
  const {parentRefs = [], hostnames = []} = httpRouteSchema.safeParse(route).data?.spec ?? {};
  const {namespace = ''} = route.metadata;
  return hostnames.flatMap((host) => parentRefs.map((parent) => ({host, gateway: gatewayText(parent, namespace)})));
};

export const leadsTo = (route: Parameters<typeof ledBy>[0], at: HostAt): boolean =>
  ledBy(route).some((leads) => isSame(leads, at));
