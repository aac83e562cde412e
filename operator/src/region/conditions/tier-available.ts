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
  // More may serve than are needed, and their number is the autoscaler's: a message that followed it would never rest.
  const enough = `at least ${floor} pods available`;
  if (available && settled) return holds(type, 'Available', enough);
  const {context, now} = input;
  const problem = problemOf(context.children, component, now);
  const tail = problem === undefined ? '' : `: ${problem.message}`;
  if (available) return holds(type, UPDATING, `${enough} while new ones start${tail}`);
  const counted = `${live.status.availableReplicas}/${floor} pods available`;
  const lacking = fails(type, problem?.reason ?? 'NotAvailable', `${counted}${tail}`);
  return problem === undefined && isGrowing ? unlessUpdating(lacking, input) : lacking;
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
