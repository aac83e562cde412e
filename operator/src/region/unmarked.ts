import {z} from 'zod';
import {type Cluster} from '../kube/controller.ts';
import {controllerOf, type Key, type Kind, type KubeObject} from '../kube/object.ts';
import {type Children} from './children.ts';
import {dataClaims} from './data-claims.ts';
import {KINDS} from './kinds.ts';
import {IDENTITY} from './labels.ts';
import {namesOf} from './names.ts';
import {attempt} from './reading.ts';
import {type Region} from './region.ts';
import {isRetained} from './retention.ts';

/** Objects that are not watched, because they do not bear our labels. */
export interface Unmarked {
  readonly found: readonly KubeObject[];
  /** What could not be read. */
  readonly doubt: string | undefined;
}

const suspended = z.object({suspend: z.literal(true)});

/** What the operator has made, whoever has removed its labels since, or is asked to take over. A stranger's is none of the region's children. */
const belongsTo = ({name, object}: Region, {metadata, ...found}: KubeObject): boolean =>
  controllerOf({metadata})?.uid === object.metadata.uid ||
  metadata.annotations?.[IDENTITY.adoptAnnotation] === name ||
  metadata.annotations?.[IDENTITY.appliedAnnotation] !== undefined ||
  // Its StatefulSet uses a claim for its name alone, whoever has made it: a person, from a backup.
  found.kind === KINDS.volumeClaim.kind;

/**
 * Children are seen by their labels and written by their names. Of those in which something lies that cannot be made again, a volume, the size that a set
 * was made with, what later specs are compared with, one that is not seen would be planned as if there were none, and written so. Therefore those are looked
 * for by name. They get their labels in the same pass and are watched from then on: only while one is missing anything is read. A region that is suspended or
 * deleted writes none, and looks only for what may go with it against its `deletionPolicy`.
 */
export const observeUnmarked = async (
  region: Region,
  children: Children,
  cluster: Pick<Cluster, 'read'>,
  signal: AbortSignal,
): Promise<Unmarked> => {
  const {name, namespace, deleting, spec} = region;
  const isLeftAlone = deleting || suspended.safeParse(spec).success;
  if (isLeftAlone && !isRetained(region)) return {found: [], doubt: undefined};
  const missing = (kind: Kind, names: readonly string[]): readonly Key[] =>
    names.filter((of) => children.find(kind, of) === undefined).map((of) => ({...kind, namespace, name: of}));
  const claims = dataClaims(name, spec);
  const volumes = missing(
    KINDS.volumeClaim,
    claims.map((claim) => claim.name),
  );
  const setNames = [...new Set(claims.map(({set}) => set))];
  const sets = missing(KINDS.statefulSet, setNames);
  const found: KubeObject[] = [];
  let doubt: string | undefined;
  const take = (object: KubeObject | undefined): void => {
    if (object !== undefined && belongsTo(region, object)) found.push(object);
  };
  // One after the other: each may have a megabyte, whoever made it.
  for (const key of [...volumes, ...sets]) {
    const reading = await attempt(() => cluster.read(key, signal), signal);
    if (reading.kind === 'known') take(reading.value);
    else doubt ??= `${key.kind} ${key.name} cannot be read: ${reading.why}`;
  }
  // Nothing else would be done in that pass, and what it says of Retain is relied on.
  if (isLeftAlone && doubt !== undefined) throw new Error(doubt);
  const {bootstrap, signing, audit, redis} = namesOf(name);
  // Without them a region is taken for a new one, so there is no pass as long as one cannot be read. Those of shards and broker have the names of their sets.
  for (const key of missing(KINDS.secret, [bootstrap, signing, audit, redis, ...setNames]))
    take(await cluster.read(key, signal));
  return {found, doubt};
};
