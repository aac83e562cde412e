import {z} from 'zod';
import {conditionsSchema} from '../children.ts';
import {KINDS} from '../kinds.ts';
import {auxiliaryFailures, reasonOf} from '../outcomes.ts';
import {type ConditionInput, fails, type Finding, holds, unknown} from './condition.ts';

const TYPE = 'AutoscalingActive';

const schema = z.object({status: z.object({conditions: conditionsSchema}).prefault({})});

/** Whether the autoscalers have the figures that they decide on. Does not count for Ready: the fewest pods run in any case. */
export const autoscalingActive = ({context: {spec, names, children}, outcome}: ConditionInput): Finding => {
  const wanted = [
    ...(spec.deviceApi.autoscaling.enabled ? [names.deviceApi] : []),
    ...(spec.adminApi.autoscaling.enabled ? [names.adminApi] : []),
    ...(spec.workers.autoscaling.enabled ? [names.worker] : []),
  ];
  if (wanted.length === 0) return holds(TYPE, 'Disabled', 'every tier has a fixed size');
  const refused = auxiliaryFailures(outcome).find(({key}) => key.kind === KINDS.autoscaler.kind);
  if (refused !== undefined) return fails(TYPE, reasonOf(refused), refused.message);
  const active = wanted.map((name) =>
    schema
      .safeParse(children.find(KINDS.autoscaler, name))
      .data?.status.conditions.find(({type}) => type === 'ScalingActive'),
  );
  const inactive = active.find((item) => item?.status === 'False');
  if (inactive !== undefined) return fails(TYPE, inactive.reason, inactive.message);
  return active.every((item) => item?.status === 'True')
    ? holds(TYPE, 'Active', 'every autoscaler has its figures')
    : unknown(TYPE, 'NotReported', 'autoscalers have not reported yet');
};
