import {z} from 'zod';
import {type Kind, type KubeObject} from '../kube/object.ts';

/** Read, not watched: it is somebody else's. */
export const GATEWAY: Kind = {apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway'};

const schema = z.object({
  spec: z.object({
    listeners: z.array(z.object({name: z.string(), protocol: z.string(), hostname: z.string().optional()})),
  }),
});

/** A wildcard stands for one label or more. */
const admits = (hostname: string | undefined, host: string): boolean =>
  hostname === undefined ||
  hostname === '' ||
  hostname === host ||
  (hostname.startsWith('*.') && host.endsWith(hostname.slice(1)));

/** How a host is reached through a Gateway: by HTTPS where one of the listeners that a route attaches to ends TLS. */
export const schemeAt = (
  gateway: KubeObject | undefined,
  sectionName: string | undefined,
  host: string,
): 'http' | 'https' | undefined => {
  const protocols = (schema.safeParse(gateway).data?.spec.listeners ?? [])
    .filter(({name, hostname}) => (sectionName === undefined || name === sectionName) && admits(hostname, host))
    .map(({protocol}) => protocol);
  if (protocols.includes('HTTPS')) return 'https';
  return protocols.includes('HTTP') ? 'http' : undefined;
};
