import {type ScaledTiers} from '../connection-room.ts';
import {floorOf} from '../manifests/autoscaler.ts';
import {type Component} from '../labels.ts';
import {problemOf} from '../problems.ts';
import {type WorkloadProgress} from '../progress.ts';
import {type ConditionInput, fails, type Finding, holds, unknown, UPDATING} from './condition.ts';
import {unlessUpdating} from './stuck.ts';

/** Whether as many pods of a stateless tier serve as its spec wants at least. */
const tierAvailable = (
  input: ConditionInput,
  type: string,
  component: Component,
  {live, available, isGrowing, settled}: WorkloadProgress,
  floor: number,
): Finding => {
  if (live === undefined) return unknown(type, 'NotCreated', `${component} waits for data tiers and schema`);
  const {context, now} = input;
  const problem = problemOf(context.children, component, now);
  const tail = problem === undefined ? '' : `: ${problem.message}`;
  const counted = `${live.status.availableReplicas}/${floor} pods available`;
  if (!available) {
    const lacking = fails(type, problem?.reason ?? 'NotAvailable', `${counted}${tail}`);
    return problem === undefined && isGrowing ? unlessUpdating(lacking, input) : lacking;
  }
  // More may serve than are needed, and their number is the autoscaler's: a message that followed it would never rest.
  return holds(
    type,
    settled ? 'Available' : UPDATING,
    settled ? `at least ${floor} pods available` : `at least ${floor} pods available while new ones start${tail}`,
  );
};

/** Of a tier whose number of pods is in the spec. */
const scaledTier =
  (type: string, component: Component, tier: keyof ScaledTiers) =>
  (input: ConditionInput): Finding => {
    const {tiers, scale} = input.progress;
    return tierAvailable(input, type, component, tiers[tier], floorOf(scale[tier]));
  };

export const deviceApiAvailable = scaledTier('DeviceApiAvailable', 'device-api', 'deviceApi');
export const adminApiAvailable = scaledTier('AdminApiAvailable', 'admin-api', 'adminApi');
export const workersAvailable = scaledTier('WorkersAvailable', 'worker', 'workers');

export const keeperAvailable = (input: ConditionInput): Finding =>
  tierAvailable(input, 'KeeperAvailable', 'keeper', input.progress.tiers.keeper, 1);
