import {quantityMillis} from '../../api/v1alpha1/quantity.ts';
import {type StatelessTier} from '../../api/v1alpha1/tiers.ts';
import {type Desired} from '../../kube/controller.ts';
import {type RegionContext} from '../context.ts';
import {KINDS} from '../kinds.ts';
import {type Component, metadataOf} from '../labels.ts';

/** Fewest pods of a tier, whoever sets the number. */
export const floorOf = ({replicas, autoscaling}: StatelessTier): number =>
  autoscaling.enabled ? (autoscaling.minReplicas ?? replicas) : replicas;

/**
 * By half or by one pod every 30 s, whichever is more, and only for what has lasted 30 s: from 2 to 10 in two minutes. What a pod used before it was ready
 * Kubernetes leaves out (https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details), but not what it takes from the others,
 * nor the compiling and connecting that follow: on few nodes, pods that were added for this would call for more.
 *
 * How pods get fewer is left to the cluster: five minutes after they were last needed, unless its controller-manager says otherwise.
 */
const GROW = {
  stabilizationWindowSeconds: 30,
  selectPolicy: 'Max',
  policies: [
    {type: 'Pods', value: 1, periodSeconds: 30},
    {type: 'Percent', value: 50, periodSeconds: 30},
  ],
};

/** A process runs its JavaScript on one core. */
const CORE_MILLIS = 1000;
/** Of what a pod can use: the others take over what one leaves that restarts, and new ones need a minute. */
const AIM = 0.6;

/** By what a pod can do, not by what it requests (docs/adr/0015). */
const usualCpu = (limit: string | number | undefined): string =>
  `${Math.ceil(Math.min(limit === undefined ? CORE_MILLIS : quantityMillis(limit), CORE_MILLIS) * AIM)}m`;

const ofRequest = (averageUtilization: number) => ({type: 'Utilization', averageUtilization});

/** Of the tier's own container: one that a service mesh injects, for instance, may have no request that its use could be compared with. */
const use = (container: Component, name: string, target: object) => ({
  type: 'ContainerResource',
  containerResource: {container, name, target},
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
            use(
              component,
              'cpu',
              targetCPU === undefined
                ? {type: 'AverageValue', averageValue: usualCpu(tier.resources.limits.cpu)}
                : ofRequest(targetCPU),
            ),
            ...(targetMemory === undefined ? [] : [use(component, 'memory', ofRequest(targetMemory))]),
          ],
          behavior: {scaleUp: GROW},
        },
      },
    },
  ];
};
