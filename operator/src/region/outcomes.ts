import {type ObjectOutcome, type Outcome} from '../kube/controller.ts';
import {type Key} from '../kube/object.ts';
import {AUXILIARY, KINDS} from './kinds.ts';

/** The API server did not take an object, or did not let it go. */
export type Failure = Extract<ObjectOutcome, {readonly message: string}>;

/** A change of a volume's claim that its class, the version of Kubernetes or a quota forbids: data is served without it (engines/volume-growth.ts). */
const isVolumeRefusal = ({kind, key}: Failure): boolean =>
  key.kind === KINDS.volumeClaim.kind && (kind === 'refused' || kind === 'immutable');

export const volumeRefusals = (outcome: Outcome): readonly Failure[] => failures(outcome).filter(isVolumeRefusal);

const failures = (outcome: Outcome): readonly Failure[] =>
  [...outcome.values()].flat().flatMap((item) => ('message' in item ? [item] : []));

export const auxiliaryFailures = (outcome: Outcome): readonly Failure[] =>
  failures(outcome).filter(({key}) => AUXILIARY.has(key.kind));

export const criticalFailures = (outcome: Outcome): readonly Failure[] =>
  failures(outcome).filter((failure) => !AUXILIARY.has(failure.key.kind) && !isVolumeRefusal(failure));

/** What the API server took, but not as it was sent. */
export interface Rewritten {
  readonly key: Key;
  readonly fields: readonly string[];
  readonly message: string;
}

export const rewrittenOf = (outcome: Outcome): readonly Rewritten[] =>
  [...outcome.values()]
    .flat()
    .flatMap((item) =>
      'repaired' in item && item.rewritten !== undefined ? [{key: item.key, ...item.rewritten}] : [],
    );

export const REWRITTEN = 'Rewritten';

const REASONS = {
  conflict: 'Conflict',
  contested: 'Contested',
  immutable: 'ImmutableField',
  refused: 'Refused',
  failed: 'Retrying',
} as const satisfies Record<Failure['kind'], string>;

export const reasonOf = ({kind}: Failure): string => REASONS[kind];

/** As an entry of `status.pendingChanges`. */
export const pendingOf = ({
  key,
  message,
}: Pick<Failure, 'key' | 'message'>): {readonly component: string; readonly reason: string} => ({
  component: `${key.kind} ${key.name}`,
  reason: message,
});
