import {type Outcome} from '../../kube/controller.ts';
import {describeKey} from '../../kube/object.ts';
import {KEEPER_SILENT} from '../facts.ts';
import {type Progress, type WorkloadProgress} from '../progress.ts';
import {COMPONENT, FORCE_DELETE} from '../labels.ts';
import {joining} from '../admission.ts';
import {problemOf} from '../problems.ts';
import {type ConditionInput, fails, type Finding, holds, unknown} from './condition.ts';
import {VOLUME_REPLACED} from './schema-migrated.ts';

/** Conditions that must be True for Ready; any other one only must not be False. */
const NEEDED: ReadonlySet<string> = new Set([
  'DatabaseReady',
  'BrokerReady',
  'CacheReady',
  'SchemaMigrated',
  'KeeperAvailable',
  'WorkersAvailable',
  'DeviceApiAvailable',
  'AdminApiAvailable',
]);

const INFORMATIVE: ReadonlySet<string> = new Set(['AutoscalingActive']);

const REASONS: Readonly<Record<string, string>> = {
  conflict: 'Conflict',
  contested: 'Contested',
  immutable: 'ImmutableField',
};

const firstOutcome = (outcome: Outcome, kinds: readonly string[]) =>
  [...outcome.values()].flat().flatMap((item) => (kinds.includes(item.kind) && 'message' in item ? [item] : []))[0];

const workloadsOf = ({shards, broker, cache, tiers}: Progress): readonly WorkloadProgress[] => [
  ...shards,
  broker,
  cache,
  ...Object.values(tiers),
];

/** Workloads that this pass has changed: what was seen of them before says nothing about them any more. */
const changed = (outcome: Outcome): readonly string[] =>
  [...outcome.values()]
    .flat()
    .filter(
      ({kind, key}) =>
        (kind === 'created' || kind === 'configured') && ['Deployment', 'StatefulSet', 'Job'].includes(key.kind),
    )
    .map(({key}) => describeKey(key));

/** The reason while a change rolls out and nothing is in its way. */
export const UPDATING = 'Updating';

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

/** The three that kubectl, Argo CD and Flux understand, from everything else. At most one of them is True, and exactly one unless suspended. */
export const summaryOf = (
  {context, progress, told}: ConditionInput,
  findings: readonly Finding[],
  outcome: Outcome,
): Summary => {
  const stuck = firstOutcome(outcome, ['conflict', 'contested', 'immutable', 'refused']);
  if (stuck !== undefined) {
    const reason = REASONS[stuck.kind] ?? 'Refused';
    return stalledBy(reason, stuck.message);
  }
  const replaced = findings.find(({reason}) => reason === VOLUME_REPLACED);
  if (replaced !== undefined) return stalledBy(replaced.reason, replaced.message);
  const failed = firstOutcome(outcome, ['failed']);
  if (failed !== undefined) return reconciling('Retrying', failed.message);

  const lacks = findings.filter(
    ({type, status}) => (NEEDED.has(type) && status !== 'True') || (status === 'False' && !INFORMATIVE.has(type)),
  );
  // That nothing is known is the consequence of something else, where something else is lacking.
  const lacking = lacks.find(({reason}) => reason !== KEEPER_SILENT) ?? lacks[0];
  if (lacking !== undefined) return reconciling(lacking.reason, lacking.message);

  const unfinished = changed(outcome)[0];
  if (unfinished !== undefined) return reconciling(UPDATING, `${unfinished} was changed`);
  const rolling = workloadsOf(progress).find(({settled}) => !settled);
  if (rolling !== undefined) {
    const {name, labels} = rolling.desired.manifest.metadata;
    const problem = problemOf(context.children, labels?.[COMPONENT]);
    const message = `${name} is being updated`;
    return problem === undefined
      ? reconciling(UPDATING, message)
      : reconciling(problem.reason, `${message}: ${problem.message}`);
  }
  const next = joining(context, progress)[0];
  if (next !== undefined) return reconciling(UPDATING, `shard ${next.id} ${next.reason}`);
  // Only of a new region: one that worked is believed until its facts are too old.
  if (told.standing === 'awaited' && !context.hasWorked) {
    return reconciling('NotTried', 'everything runs; the keeper is about to try whether it works');
  }
  return [
    holds('Ready', 'Ready', 'the region works'),
    fails('Reconciling', 'Done', 'everything is as it should be'),
    fails('Stalled', 'Done', 'nothing waits for a person'),
  ];
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

export const suspendedSummary = (): Summary => [
  unknown('Ready', 'Suspended', 'nothing is checked or changed while spec.suspend is true'),
  fails('Reconciling', 'Suspended', 'nothing is changed while spec.suspend is true'),
  fails('Stalled', 'Suspended', 'nothing is changed while spec.suspend is true'),
];
