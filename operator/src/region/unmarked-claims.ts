import {z} from 'zod';
import {type Cluster} from '../kube/controller.ts';
import {type KubeObject} from '../kube/object.ts';
import {type Children} from './children.ts';
import {dataClaims} from './data-claims.ts';
import {KINDS} from './kinds.ts';
import {attempt} from './reading.ts';
import {type Region} from './region.ts';

/** Claims that are not watched, because they do not bear our labels. */
export interface Unmarked {
  readonly found: readonly KubeObject[];
  /** What could not be read. */
  readonly doubt: string | undefined;
}

const suspended = z.object({suspend: z.literal(true)});

/**
 * A claim that a person has made from a backup is used by its StatefulSet for its name alone, so it is looked for by that name. It gets its labels in the same pass
 * (engines/volume-claims.ts) and is watched from then on: only while one is missing anything is read.
 */
export const observeUnmarked = async (
  {name, namespace, deleting, spec}: Region,
  children: Children,
  cluster: Pick<Cluster, 'read'>,
  signal: AbortSignal,
): Promise<Unmarked> => {
  if (deleting || suspended.safeParse(spec).success) return {found: [], doubt: undefined};
  const missing = dataClaims(name, spec).filter((claim) => children.find(KINDS.volumeClaim, claim.name) === undefined);
  const readings = await Promise.all(
    missing.map(async (claim) => {
      const key = {...KINDS.volumeClaim, namespace, name: claim.name};
      return {claim, reading: await attempt(() => cluster.read(key, signal, 'live'), signal)};
    }),
  );
  return {
    found: readings.flatMap(({reading}) => (reading.kind === 'known' ? (reading.value ?? []) : [])),
    doubt: readings.flatMap(({claim, reading}) =>
      reading.kind === 'unknown' ? [`claim ${claim.name} cannot be read: ${reading.why}`] : [],
    )[0],
  };
};
