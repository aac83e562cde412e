import {type RegionContext} from '../../context.ts';
import {KINDS} from '../../kinds.ts';
import {BROKER_VOLUMES} from '../../labels.ts';
import {claimsOf, isSetOurs} from '../volume-claims.ts';

/**
 * Which volumes the broker's nodes began with, written down on the bootstrap Secret: it outlives the StatefulSet, which may be deleted together with them.
 * Another claim of the same name is an empty volume, on which the broker starts as if nothing had ever waited.
 */

interface KnownVolume {
  readonly node: number;
  /** Uid of the claim that was seen first; empty while none was. */
  readonly known: string;
  readonly now: string | undefined;
}

/** A claim that is there before its StatefulSet may be another one by then: it counts from when the broker uses it. */
const knownVolumes = (context: RegionContext): readonly KnownVolume[] => {
  const {children, names} = context;
  const written =
    children.find(KINDS.secret, names.bootstrap)?.metadata.annotations?.[BROKER_VOLUMES]?.split(',') ?? [];
  return claimsOf(context, 'rabbitmq').map((claim) => {
    const now = isSetOurs(context, claim) ? children.volume(claim.name)?.uid : undefined;
    return {node: claim.id, known: written[claim.id] || (now ?? ''), now};
  });
};

/** The annotation of the Secret. Who removes it accepts the volumes that there are. */
export const volumeAnnotations = (context: RegionContext): Readonly<Record<string, string>> => {
  const uids = knownVolumes(context).map(({known}) => known);
  return uids.every((uid) => uid === '') ? {} : {[BROKER_VOLUMES]: uids.join(',')};
};

/** The first node that has another volume now than the one that it began with. */
export const replacedNode = (context: RegionContext): number | undefined =>
  knownVolumes(context).find(({known, now}) => now !== undefined && now !== known)?.node;
