import {type Exposure} from '../../api/v1alpha1/tiers.ts';
import {type Desired} from '../../kube/controller.ts';
import {type RegionContext} from '../context.ts';
import {KINDS} from '../kinds.ts';
import {type Component, metadataOf, selectorOf} from '../labels.ts';

interface ServicePort {
  readonly name: string;
  readonly port: number;
  /** Name of the container's port. */
  readonly targetPort: string;
}

/** The Services that people may open to the outside, and how. */
const exposureOf = ({spec}: RegionContext, component: Component): Exposure => {
  if (component === 'device-api') return spec.deviceApi;
  return component === 'admin-api' ? spec.adminApi : {serviceType: 'ClusterIP'};
};

/** A stable name and address in front of a component's ready pods. */
export const service = (
  context: RegionContext,
  name: string,
  component: Component,
  ports: readonly ServicePort[],
  shardId?: number,
): Desired => {
  const {serviceType, serviceAnnotations = {}} = exposureOf(context, component);
  return {
    manifest: {
      ...KINDS.service,
      metadata: metadataOf(context, name, component, {
        annotations: serviceAnnotations,
        ...(shardId === undefined ? {} : {shardId}),
      }),
      spec: {
        type: serviceType,
        selector: selectorOf(context.name, component, shardId),
        ports: ports.map((port) => ({...port, protocol: 'TCP'})),
      },
    },
  };
};

/** Names for the pods of a StatefulSet, also before they are ready: a broker must know its own name to start. */
export const headlessService = (
  context: RegionContext,
  name: string,
  component: Component,
  ports: readonly ServicePort[],
  shardId?: number,
): Desired => ({
  manifest: {
    ...KINDS.service,
    metadata: metadataOf(context, name, component, shardId === undefined ? {} : {shardId}),
    spec: {
      type: 'ClusterIP',
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: selectorOf(context.name, component, shardId),
      ports: ports.map((port) => ({...port, protocol: 'TCP'})),
    },
  },
});
