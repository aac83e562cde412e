import {autoscalingActive} from './autoscaling-active.ts';
import {type ConditionInput, type Finding} from './condition.ts';
import {brokerReady, cacheReady, databaseReady} from './data-tier.ts';
import {routeReady} from './route-ready.ts';
import {schemaMigrated} from './schema-migrated.ts';
import {adminApiAvailable, deviceApiAvailable, keeperAvailable, workersAvailable} from './tier-available.ts';

/** What a condition says about Ready: that it must be True, that it must not be False, or nothing. */
type Weight = 'needed' | 'must-not-fail' | 'informative';

export interface WeighedFinding {
  readonly finding: Finding;
  readonly weight: Weight;
}

/** In the order in which a region comes up, so that the first that is lacking is the one to read about. */
const CONDITIONS: readonly (readonly [find: (input: ConditionInput) => Finding, weight: Weight])[] = [
  [databaseReady, 'needed'],
  [brokerReady, 'needed'],
  [cacheReady, 'needed'],
  [schemaMigrated, 'needed'],
  [keeperAvailable, 'needed'],
  [workersAvailable, 'needed'],
  [deviceApiAvailable, 'needed'],
  [adminApiAvailable, 'needed'],
  // Many ingress controllers never say that they route.
  [routeReady, 'must-not-fail'],
  // Pods go on serving with the replicas that they have.
  [autoscalingActive, 'informative'],
];

export const findAll = (input: ConditionInput): readonly WeighedFinding[] =>
  CONDITIONS.map(([find, weight]) => ({finding: find(input), weight}));

export const isLacking = ({finding: {status}, weight}: WeighedFinding): boolean =>
  weight === 'needed' ? status !== 'True' : weight === 'must-not-fail' && status === 'False';
