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

/** A stable name and address in front of a component's ready pods. */
export const service = (
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
      selector: selectorOf(context.name, component, shardId),
      ports: ports.map((port) => ({...port, protocol: 'TCP'})),
    },
  },
});

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
