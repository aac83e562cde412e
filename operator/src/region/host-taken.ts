import {z} from 'zod';
import {controllerOf, type Kind, type KubeObject} from '../kube/object.ts';
import {KINDS} from './kinds.ts';
import {namesOf} from './names.ts';
import {type Region} from './region.ts';

const schema = z.object({
  ingress: z.object({
    enabled: z.boolean().default(true),
    host: z.string().optional(),
    adminHost: z.string().optional(),
    className: z.string().optional(),
    gatewayRef: z.object({name: z.string(), namespace: z.string().optional()}).optional(),
  }),
});

type Ingress = z.output<typeof schema>['ingress'];

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

/** More than a route of a region has. */
const MOST_HOSTS = 16;

/** What is read here of a route, whoever made it. */
export const routePart = (kind: Kind, route: KubeObject): object => {
  if (kind === KINDS.ingress) {
    const {ingressClassName, rules = []} = ingressSchema.safeParse(route).data?.spec ?? {};
    return {spec: {ingressClassName, rules: rules.slice(0, MOST_HOSTS)}};
  }
  const {parentRefs = [], hostnames = []} = httpRouteSchema.safeParse(route).data?.spec ?? {};
  return {spec: {parentRefs: parentRefs.slice(0, MOST_HOSTS), hostnames: hostnames.slice(0, MOST_HOSTS)}};
};

/** A host that another region has, at the entrance that this one wants it at. */
export interface TakenHost {
  readonly host: string;
  /** The region that has it, `namespace/name`. */
  readonly by: string;
}

/** The hosts that a route leads somewhere. */
export const hostsOf = (route: KubeObject): readonly string[] =>
  route.kind === KINDS.ingress.kind
    ? (ingressSchema.safeParse(route).data?.spec.rules ?? []).flatMap(({host}) => host ?? [])
    : (httpRouteSchema.safeParse(route).data?.spec.hostnames ?? []);

/** What routes: the same host at two of these leads to two places on purpose. `undefined`: an Ingress of whichever class. */
type Entrance = {readonly gateway: string} | {readonly className: string | undefined};

const entrancesOf = (route: KubeObject): readonly Entrance[] => {
  if (route.kind === KINDS.ingress.kind)
    return [{className: ingressSchema.safeParse(route).data?.spec.ingressClassName}];
  const {namespace = ''} = route.metadata;
  return (httpRouteSchema.safeParse(route).data?.spec.parentRefs ?? []).map((parent) => ({
    gateway: `${parent.namespace ?? namespace}/${parent.name}`,
  }));
};

/** Where the spec names no class the API server gives the Ingress the cluster's default one, which is known once it is made. */
const wantedEntrance = (
  {className, gatewayRef}: Ingress,
  namespace: string,
  live: KubeObject | undefined,
): Entrance => {
  if (gatewayRef !== undefined) return {gateway: `${gatewayRef.namespace ?? namespace}/${gatewayRef.name}`};
  return {className: className ?? ingressSchema.safeParse(live).data?.spec.ingressClassName};
};

const isSame = (a: Entrance, b: Entrance): boolean => {
  if ('gateway' in a || 'gateway' in b) return 'gateway' in a && 'gateway' in b && a.gateway === b.gateway;
  return a.className === undefined || b.className === undefined || a.className === b.className;
};

const routesTo = (route: KubeObject, host: string, entrance: Entrance): boolean =>
  hostsOf(route).includes(host) && entrancesOf(route).some((other) => isSame(other, entrance));

const ageOf = ({metadata}: KubeObject): string =>
  JSON.stringify([metadata.creationTimestamp, metadata.namespace, metadata.name]);

/**
 * The hosts of this region that lead to another one. Both would look well, and one would get the other's devices. A host is that of the region that a live
 * route leads to, not that of the older one, whose author could have any host by asking for it. Where routes of two lead somewhere (they were made at the
 * same time), the older region keeps the host. `regions` and `routes`: all that the operator sees.
 */
export const takenHosts = (
  {object, spec, name, namespace}: Pick<Region, 'object' | 'spec' | 'name' | 'namespace'>,
  regions: readonly KubeObject[],
  routes: readonly KubeObject[],
): readonly TakenHost[] => {
  const ingress = schema.safeParse(spec).data?.ingress;
  if (ingress?.enabled !== true) return [];
  const {uid} = object.metadata;
  const own = routes.filter((route) => controllerOf(route)?.uid === uid);
  const {deviceApi, adminApi} = namesOf(name);
  const wanted = [
    {host: ingress.host, route: deviceApi},
    {host: ingress.adminHost, route: adminApi},
  ];
  return wanted.flatMap(({host, route}): readonly TakenHost[] => {
    if (host === undefined) return [];
    const live = own.find(({kind, metadata}) => kind === KINDS.ingress.kind && metadata.name === route);
    const entrance = wantedEntrance(ingress, namespace, live);
    const isRouted = own.some((mine) => routesTo(mine, host, entrance));
    const owners = routes
      .filter((other) => routesTo(other, host, entrance))
      .flatMap((other) => {
        const owner = controllerOf(other);
        return owner === undefined || owner.uid === uid ? [] : [{owner, where: other.metadata.namespace ?? ''}];
      });
    const holder = owners.find(({owner}) => {
      if (!isRouted) return true;
      const other = regions.find(({metadata}) => metadata.uid === owner.uid);
      return other !== undefined && ageOf(other) < ageOf(object);
    });
    return holder === undefined ? [] : [{host, by: `${holder.where}/${holder.owner.name}`}];
  });
};
