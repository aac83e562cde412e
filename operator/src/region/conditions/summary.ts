import {type Outcome} from '../../kube/controller.ts';
import {describeKey} from '../../kube/object.ts';
import {isWithoutFacts} from '../facts.ts';
import {KINDS, WORKLOADS} from '../kinds.ts';
import {type Progress, type WorkloadProgress} from '../progress.ts';
import {COMPONENT, FORCE_DELETE} from '../labels.ts';
import {joining} from '../admission.ts';
import {criticalFailures, reasonOf, REWRITTEN, type Rewritten, rewrittenOf} from '../outcomes.ts';
import {problemOf} from '../problems.ts';
import {type ConditionInput, fails, type Finding, holds, NOT_TRIED, unknown, UPDATING} from './condition.ts';
import {CLAIM_DELETED, untriedMs} from './data-tier.ts';
import {isLacking, type WeighedFinding} from './conditions.ts';
import {MIGRATING, NOT_MIGRATED, VOLUME_REPLACED} from './schema-migrated.ts';
import {stuckInMs} from './stuck.ts';

const workloadsOf = ({shards, broker, cache, tiers}: Progress): readonly WorkloadProgress[] => [
  ...shards,
  broker,
  cache,
  ...Object.values(tiers),
];

/** What is about data that may be lost waits for a person from the beginning. */
const AT_ONCE: ReadonlySet<string> = new Set([CLAIM_DELETED, VOLUME_REPLACED]);

/** Workloads that this pass has changed: what was seen of them before says nothing about them any more. */
const changed = (outcome: Outcome): readonly string[] =>
  [...outcome.values()]
    .flat()
    .filter(({kind, key}) => (kind === 'created' || kind === 'configured') && WORKLOADS.has(key.kind))
    .map(({key}) => describeKey(key));

type Summary = readonly [ready: Finding, reconciling: Finding, stalled: Finding];

const stalledBy = (reason: string, message: string): Summary => [
  fails('Ready', reason, message),
  fails('Reconciling', 'Stalled', 'waits for a person'),
  holds('Stalled', reason, message),
];

const reconciling = (reason: string, message: string): Summary => [
  fails('Ready', reason, message),
  holds('Reconciling', reason, message),
  fails('Stalled', 'Progressing', 'nothing waits for a person'),
];

/** What a region comes to, from everything that is found. */
export type State =
  | {readonly kind: 'works'}
  | {readonly kind: 'stalled'; readonly reason: string; readonly message: string}
  | {
      readonly kind: 'moving';
      readonly reason: string;
      readonly message: string;
      /** No fewer serve than before, or than the change that rolls out lets; and nothing is known to be in its way. */
      readonly isUpdate: boolean;
      /** It counts as stuck then. */
      readonly lookAgainMs?: number;
    };

const stalled = (reason: string, message: string): State => ({kind: 'stalled', reason, message});

const moving = (reason: string, message: string): State => ({kind: 'moving', reason, message, isUpdate: false});

const updating = (message: string, reason: string = UPDATING): State => ({
  kind: 'moving',
  reason,
  message,
  isUpdate: true,
});

/** Something is lacking. It waits for a person, once it has been so for so long that it will not go away by itself. */
const lackingState = (finding: Finding, input: ConditionInput): State => {
  const {type, status, reason, message} = finding;
  if (reason === NOT_TRIED)
    return {kind: 'moving', reason, message, isUpdate: true, lookAgainMs: untriedMs(input, type)};
  if (reason === MIGRATING || reason === NOT_MIGRATED) return updating(message, reason);
  if (status !== 'False') return moving(reason, message);
  const inMs = stuckInMs(finding, input);
  if (inMs === 0) return stalled(reason, message);
  return {kind: 'moving', reason, message, isUpdate: reason === UPDATING, lookAgainMs: inMs};
};

/** Enough serve, but not all of them from the template that is wished for. Kubernetes itself says when that takes too long. */
const rollingState = ({desired, live, isOverdue}: WorkloadProgress, {context, now}: ConditionInput): State => {
  const {name, labels} = desired.manifest.metadata;
  const problem = problemOf(context.children, labels?.[COMPONENT], now);
  const message = `${name} is being updated`;
  if (problem === undefined || live === undefined) return updating(message);
  return (isOverdue ? stalled : moving)(problem.reason, `${message}: ${problem.message}`);
};

/** Settings that the API server keeps otherwise than they were sent, while something waits until it has them (settings.ts). */
const awaitedSettings = (progress: Progress, outcome: Outcome): Rewritten | undefined =>
  [...workloadsOf(progress), ...progress.migrations.filter(({state}) => state !== 'complete')].some(
    ({configured, written}) => !configured && !written,
  )
    ? rewrittenOf(outcome).find(
        ({key, fields}) => key.kind === KINDS.configMap.kind && fields.some((field) => field.startsWith('data')),
      )
    : undefined;

export const stateOf = (input: ConditionInput, weighed: readonly WeighedFinding[]): State => {
  const {context, progress, told, outcome} = input;
  const failures = criticalFailures(outcome);
  const refused = failures.find(({kind}) => kind !== 'failed');
  if (refused !== undefined) return stalled(reasonOf(refused), refused.message);
  const endangered = weighed.find(({finding}) => AT_ONCE.has(finding.reason))?.finding;
  if (endangered !== undefined) return stalled(endangered.reason, endangered.message);
  const settings = awaitedSettings(progress, outcome);
  if (settings !== undefined) return stalled(REWRITTEN, settings.message);
  const failed = failures[0];
  if (failed !== undefined) return moving(reasonOf(failed), failed.message);

  const lacks = weighed.filter(isLacking).map(({finding}) => finding);
  // That nothing is known is the consequence of something else, where something else is lacking.
  const lacking = lacks.find(({reason}) => !isWithoutFacts(reason)) ?? lacks[0];
  if (lacking !== undefined) return lackingState(lacking, input);

  const unfinished = changed(outcome)[0];
  if (unfinished !== undefined) return updating(`${unfinished} was changed`);
  const rolling = workloadsOf(progress).find(({settled}) => !settled);
  if (rolling !== undefined) return rollingState(rolling, input);
  const next = joining(context, progress)[0];
  if (next !== undefined) return updating(`shard ${next.id} ${next.reason}`);
  // Only of a new region: one that worked is believed until its facts are too old.
  return told.standing === 'awaited' && !context.hasWorked
    ? moving(NOT_TRIED, 'everything runs; the keeper is about to try whether it works')
    : {kind: 'works'};
};

/** The three that kubectl, Argo CD and Flux understand. At most one of them is True, and exactly one unless suspended. */
export const summaryOf = (state: State): Summary => {
  switch (state.kind) {
    case 'works':
      return [
        holds('Ready', 'Ready', 'the region works'),
        fails('Reconciling', 'Done', 'no change is under way'),
        fails('Stalled', 'Done', 'nothing waits for a person'),
      ];
    case 'stalled':
      return stalledBy(state.reason, state.message);
    case 'moving':
      return reconciling(state.reason, state.message);
  }
};

export const invalidSummary = (message: string): Summary => stalledBy('InvalidSpec', message);

export const forgottenSummary = (message: string): Summary => stalledBy('AcceptedUnreadable', message);

/** `atRisk`: what would go with the region although its data is to stay. */
export const deletingSummary = (atRisk: readonly string[]): Summary =>
  reconciling(
    'Deleting',
    atRisk[0] === undefined
      ? 'the region is being deleted: nothing of it is repaired or changed any more'
      : `the region is deleted as soon as its data outlives it (deletionPolicy Retain); ${atRisk[0]} does not yet; annotation ${FORCE_DELETE} deletes it all the same, and that with it`,
  );

/** Of what is left of an earlier region, so many are named. */
const LEFT_TOLD = 3;

const someOf = (objects: readonly string[]): string =>
  `${objects.slice(0, LEFT_TOLD).join(', ')}${objects.length > LEFT_TOLD ? ` and ${objects.length - LEFT_TOLD} more` : ''}`;

/** `isOverdue`: the garbage collector has had its time. */
export const earlierSummary = (going: readonly string[], isOverdue: boolean): Summary => {
  const message = `waits until what was deleted with an earlier region of this name is gone: ${someOf(going)}`;
  return isOverdue
    ? stalledBy(
        'EarlierRegionRemains',
        `${message}. Kubernetes' garbage collector has not taken it in ten minutes: see what is in its way (a finalizer, an APIService that is not available), or delete it; what has no ownerReferences any more is kept and taken over`,
      )
    : reconciling('EarlierRegionRemains', message);
};

/** `missing`: names of claims. */
export const incompleteSummary = (left: readonly string[], missing: readonly string[]): Summary =>
  stalledBy(
    'EarlierDataIncomplete',
    `there is a part of an earlier region's data, ${someOf(left)}, without ${someOf(missing)} and without the Secret that says what belongs together: nothing is made of it. Delete that part to begin anew, or suspend the region, restore the rest, and go on`,
  );

export const failedSummary = (problem: string): Summary => {
  const message = `the operator could not look after the region and tries it again: ${problem}`;
  return [
    unknown('Ready', 'PassFailed', message),
    holds('Reconciling', 'PassFailed', message),
    fails('Stalled', 'Progressing', 'nothing waits for a person'),
  ];
};

export const suspendedSummary = (): Summary => [
  unknown('Ready', 'Suspended', 'nothing is checked or changed while spec.suspend is true'),
  fails('Reconciling', 'Suspended', 'nothing is changed while spec.suspend is true'),
  fails('Stalled', 'Suspended', 'nothing is changed while spec.suspend is true'),
];
