import {type StatelessTier} from '../../api/v1alpha1/tiers.ts';
import {type Desired} from '../../kube/controller.ts';
import {type RegionContext} from '../context.ts';
import {KINDS} from '../kinds.ts';
import {type Component, metadataOf, selectorOf} from '../labels.ts';
import {floorOf} from './autoscaler.ts';

/** None below two pods, where it could only forbid every eviction and so block a node's drain. */
export const disruptionBudget = (
  context: RegionContext,
  name: string,
  component: Component,
  tier: StatelessTier,
): readonly Desired[] =>
  floorOf(tier) < 2
    ? []
    : [
        {
          manifest: {
            ...KINDS.disruptionBudget,
            metadata: metadataOf(context, name, component),
            spec: {
              maxUnavailable: 1,
              // A pod that is broken anyway must not stop a drain.
              unhealthyPodEvictionPolicy: 'AlwaysAllow',
              selector: {matchLabels: selectorOf(context.name, component)},
            },
          },
        },
      ];
