import {type ConditionInput, type Finding, UPDATING} from './condition.ts';

/** What a Deployment's progressDeadlineSeconds is unless somebody says otherwise. A StatefulSet and a Job have none. */
const STUCK_AFTER_MS = 600_000;

/**
 * How long until what keeps a condition from being True has lasted for too long; 0 from then on. The times are those that the operator wrote down itself. A
 * new generation is another try, which gets its time.
 */
export const stuckInMs = ({type, status, reason}: Finding, {region, now}: ConditionInput): number => {
  const {observedGeneration, conditions = []} = region.status;
  const said = conditions.find((condition) => condition.type === type);
  if (observedGeneration !== region.generation || said?.status !== status) return STUCK_AFTER_MS;
  const stalled = conditions.find((condition) => condition.type === 'Stalled');
  if (stalled?.status === 'True' && stalled.reason === reason && said.reason === reason) return 0;
  const since = Math.max(...[said, stalled].flatMap((item) => (item ? [Date.parse(item.lastTransitionTime)] : [])));
  return Math.max(0, since + STUCK_AFTER_MS - now.getTime());
};

/** What a change explains, it explains for a while. */
export const unlessUpdating = (finding: Finding, input: ConditionInput): Finding =>
  stuckInMs(finding, input) > 0 ? {...finding, reason: UPDATING} : finding;
