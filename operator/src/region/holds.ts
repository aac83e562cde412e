import {z} from 'zod';
import {type Desired} from '../kube/controller.ts';
import {type Key} from '../kube/object.ts';
import {withLiveTemplate} from './template.ts';
import {fitsConcurrency} from './connection-room.ts';
import {isChild, type RegionContext} from './context.ts';
import {KINDS} from './kinds.ts';
import {dataSettled, migrated, type Progress, type WorkloadProgress} from './progress.ts';

/**
 * Why a workload is not made, or not given another template, for now. Only templates wait: everything else of an object is written at once. What is wrong
 * with a workload itself never keeps it from being changed, or a bad change could not be taken back; but for a claim that was deleted, which goes with its pod.
 */

/** A manifest that should exist. */
export interface Wanted {
  readonly desired: Desired;
  /** It is not written yet, nor is what exists of it deleted; the text says what it waits for. */
  readonly hold?: string;
  /** What of it is written while it waits. */
  readonly meanwhile?: Desired;
}

/** Held as long as `reason` gives one; but what is already as it should be is kept so, whatever else happens. */
export const held = ({desired, live, written}: WorkloadProgress, reason: string | undefined): Wanted => {
  if (written || reason === undefined) return {desired};
  return live === undefined
    ? {desired, hold: reason}
    : {desired, hold: reason, meanwhile: withLiveTemplate(desired, live)};
};

const unprepared = ({prepared}: Progress, {configured}: {readonly configured: boolean}): string | undefined => {
  if (!prepared) return 'waits for its credentials and settings';
  return configured ? undefined : 'waits until its settings are written';
};

/** The data tiers in the order in which they change: what is missed least goes first, so that a fault that all would share shows there.
 * Nothing waits for a shard that is joining. */
const members = ({cache, shards, needed, broker}: Progress): readonly {name: string; member: WorkloadProgress}[] => [
  {name: 'the cache', member: cache},
  ...shards.slice(0, needed).map((member, id) => ({name: `shard ${id}`, member})),
  {name: 'the broker', member: broker},
];

/**
 * Data tiers are made beside each other, and changed one member after the other, each while all others serve. One that is down may be changed at once, but
 * when its template is known to be good it is not given what another has yet to come up with: it comes back with what it has.
 */
export const dataHold = (progress: Progress, own: WorkloadProgress): string | undefined => {
  const deleted = progress.deletedClaims.find(({set}) => set === own.desired.manifest.metadata.name);
  if (deleted !== undefined) return `waits because claim ${deleted.name} was deleted and goes when its pod ends`;
  const lacking = unprepared(progress, own);
  if (lacking !== undefined || own.live === undefined || (own.disturbed && own.trial !== 'passed')) return lacking;
  const existing = members(progress).filter(({member}) => member.live !== undefined);
  const place = existing.findIndex(({member}) => member === own);
  const busy = existing.find(
    ({member}, index) =>
      index !== place &&
      (own.disturbed ? member.trial === 'open' : !member.rolledOut || (index < place && !member.written)),
  );
  return busy === undefined ? undefined : `waits until ${busy.name} has restarted`;
};

const templateImages = z.object({spec: z.object({containers: z.array(z.object({image: z.string().optional()}))})});

/** Whether some service was given this image, which was when every shard had its schema: schemas only go up. */
const isLetIn = ({images}: RegionContext, {tiers}: Progress): boolean =>
  Object.values(tiers).some(({live}) =>
    templateImages.safeParse(live?.spec.template).data?.spec.containers.some(({image}) => image === images.service),
  );

/**
 * Services start on data tiers that are there, and change while none of them is changing; but what was deleted comes back as it can, and a change that does
 * not get on may be replaced, unless by workers that open more connections than there is room for. None starts on a schema that it does not know.
 */
export const serviceHold = (context: RegionContext, progress: Progress, own: WorkloadProgress): string | undefined => {
  const lacking = unprepared(progress, own);
  if (lacking !== undefined) return lacking;
  const {shards, needed, tiers} = progress;
  const isUrgent = own.live === undefined ? context.hasWorked : own.disturbed;
  const hasRoom = own !== tiers.workers || fitsConcurrency(context, shards.slice(0, needed));
  if (!(isUrgent && hasRoom) && !dataSettled(progress)) return 'waits until shards, broker and cache are ready';
  return migrated(progress) || (isUrgent && isLetIn(context, progress))
    ? undefined
    : 'waits until every shard has the schema of its image';
};

/** The keeper's pods are tied to one life of its account, so that comes first. */
export const anonymous = ({children, names}: RegionContext): string | undefined =>
  children.find(KINDS.serviceAccount, names.keeper) === undefined ? 'waits for its service account' : undefined;

/**
 * What is not there yet waits for the children that it names, until they exist and are the region's: bound to a stranger's object of that name it would give that
 * away, or itself to that. What is there already was made when they were.
 */
export const onceOurs = (
  context: RegionContext,
  wanted: Wanted,
  ...named: readonly Omit<Key, 'namespace'>[]
): Wanted => {
  const {manifest} = wanted.desired;
  if (wanted.hold !== undefined || context.children.find(manifest, manifest.metadata.name) !== undefined) return wanted;
  const missing = named.find((key) => !isChild(context, key));
  return missing === undefined ? wanted : {...wanted, hold: `waits for its ${missing.kind} ${missing.name}`};
};
