import {z} from 'zod';
import {type KubeObject} from '../kube/object.ts';
import {type Problem} from './problems.ts';
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

interface Route {
  readonly hosts: readonly string[];
  /** What routes them: the same host at two of these leads to two places on purpose. */
  readonly entrance: string;
}

const routeOf = (spec: unknown, namespace: string): Route | undefined => {
  const ingress = schema.safeParse(spec).data?.ingress;
  if (ingress?.enabled !== true) return undefined;
  const {host, adminHost, className = '', gatewayRef} = ingress;
  return {
    hosts: [host ?? [], adminHost ?? []].flat(),
    entrance: gatewayRef === undefined ? className : `${gatewayRef.namespace ?? namespace}/${gatewayRef.name}`,
  };
};

const ageOf = ({metadata}: KubeObject): string =>
  JSON.stringify([metadata.creationTimestamp, metadata.namespace, metadata.name]);

/** Whether an older one of `regions` (all that the operator sees) has a host of this one. Both would look well, and one would get the other's devices. */
export const hostTaken = (region: Region, regions: readonly KubeObject[]): Problem | undefined => {
  const mine = routeOf(region.spec, region.namespace);
  if (mine === undefined) return undefined;
  const older = regions
    .filter(({metadata}) => metadata.uid !== region.object.metadata.uid && metadata.deletionTimestamp === undefined)
    .filter((other) => ageOf(other) < ageOf(region.object))
    .toSorted((a, b) => (ageOf(a) < ageOf(b) ? -1 : 1));
  for (const {metadata, spec} of older) {
    const theirs = routeOf(spec, metadata.namespace ?? '');
    const host = mine.hosts.find((name) => theirs?.entrance === mine.entrance && theirs.hosts.includes(name));
    if (host !== undefined) {
      return {
        reason: 'HostTaken',
        message: `host ${host} is already that of region ${metadata.namespace ?? ''}/${metadata.name}; give one of the two another host`,
      };
    }
  }
  return undefined;
};
