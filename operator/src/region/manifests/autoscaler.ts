import {type StatelessTier} from '../../api/v1alpha1/tiers.ts';
import {type Desired} from '../../kube/controller.ts';
import {type RegionContext} from '../context.ts';
import {KINDS} from '../kinds.ts';
import {type Component, metadataOf} from '../labels.ts';

/** Fewest pods of a tier, whoever sets the number. */
export const floorOf = ({replicas, autoscaling}: StatelessTier): number =>
  autoscaling.enabled ? (autoscaling.minReplicas ?? replicas) : replicas;

/**
 * By half or by two pods every 15 s, whichever is more: from 2 to 10 in a minute. The default would double, but a pod that starts takes a second of
 * CPU itself, and on few nodes a whole wave of them slows down those that work.
 */
const GROW = {
  selectPolicy: 'Max',
  policies: [
    {type: 'Pods', value: 2, periodSeconds: 15},
    {type: 'Percent', value: 50, periodSeconds: 15},
  ],
};

/** Of the tier's own container: one that a service mesh injects, for instance, may have no request that its use could be compared with. */
const utilization = (container: Component, name: string, averageUtilization: number) => ({
  type: 'ContainerResource',
  containerResource: {container, name, target: {type: 'Utilization', averageUtilization}},
});

/** Empty where the tier has a fixed size. */
export const autoscaler = (
  context: RegionContext,
  name: string,
  component: Component,
  tier: StatelessTier,
): readonly Desired[] => {
  const {enabled, maxReplicas, targetCPU, targetMemory} = tier.autoscaling;
  if (!enabled) return [];
  return [
    {
      manifest: {
        ...KINDS.autoscaler,
        metadata: metadataOf(context, name, component),
        spec: {
          scaleTargetRef: {...KINDS.deployment, name},
          minReplicas: floorOf(tier),
          maxReplicas,
          metrics: [
            utilization(component, 'cpu', targetCPU),
            ...(targetMemory === undefined ? [] : [utilization(component, 'memory', targetMemory)]),
          ],
          behavior: {scaleUp: GROW},
        },
      },
    },
  ];
};
