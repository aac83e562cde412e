import {z} from 'zod';
import {type KubeObject} from '../kube/object.ts';
import {namesOf} from './names.ts';
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

type Ingress = z.output<typeof schema>['ingress'];

const ingressSchema = z.object({spec: z.object({ingressClassName: z.string().optional()})});

/** The Ingress of that name, as far as it is known. */
export type FindIngress = (namespace: string, name: string) => Promise<KubeObject | undefined>;

const routeOf = (spec: unknown): Ingress | undefined => {
  const ingress = schema.safeParse(spec).data?.ingress;
  return ingress?.enabled === true ? ingress : undefined;
};

const hostsOf = ({host, adminHost}: Ingress): readonly string[] => [host ?? [], adminHost ?? []].flat();

/**
 * What routes `host`: the same host at two of these leads to two places on purpose. Where the spec names no class the API server has given the Ingress the
 * cluster's default one.
 */
const entranceOf = async (
  ingress: Ingress,
  host: string,
  {namespace = '', name}: KubeObject['metadata'],
  find: FindIngress,
): Promise<string> => {
  const {className, gatewayRef} = ingress;
  if (gatewayRef !== undefined) return `${gatewayRef.namespace ?? namespace}/${gatewayRef.name}`;
  if (className !== undefined) return className;
  const {deviceApi, adminApi} = namesOf(name);
  const made = await find(namespace, host === ingress.host ? deviceApi : adminApi);
  return ingressSchema.safeParse(made).data?.spec.ingressClassName ?? '';
};

const ageOf = ({metadata}: KubeObject): string =>
  JSON.stringify([metadata.creationTimestamp, metadata.namespace, metadata.name]);

/** Whether an older one of `regions` (all that the operator sees) has a host of this one. Both would look well, and one would get the other's devices. */
export const hostTaken = async (
  region: Region,
  regions: readonly KubeObject[],
  find: FindIngress,
): Promise<Problem | undefined> => {
  const mine = routeOf(region.spec);
  if (mine === undefined) return undefined;
  const older = regions
    .filter(({metadata}) => metadata.uid !== region.object.metadata.uid && metadata.deletionTimestamp === undefined)
    .filter((other) => ageOf(other) < ageOf(region.object))
    .toSorted((a, b) => (ageOf(a) < ageOf(b) ? -1 : 1));
  for (const {metadata, spec} of older) {
    const theirs = routeOf(spec);
    if (theirs === undefined) continue;
    for (const host of hostsOf(mine).filter((name) => hostsOf(theirs).includes(name))) {
      const [here, there] = await Promise.all([
        entranceOf(mine, host, region.object.metadata, find),
        entranceOf(theirs, host, metadata, find),
      ]);
      if (here !== there) continue;
      return {
        reason: 'HostTaken',
        message: `host ${host} is already that of region ${metadata.namespace ?? ''}/${metadata.name}; give one of the two another host`,
      };
    }
  }
  return undefined;
};
