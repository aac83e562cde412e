import {type Desired} from '../../kube/controller.ts';
import {type Workload} from '../children.ts';
import {hashOf} from '../hash.ts';
import {REVISION} from '../labels.ts';

/** A StatefulSet or Deployment with the hash of its spec on it, by which {@link isSettled} knows whether the server has this very one. */
export const withRevision = (desired: Desired): Desired => {
  const {manifest} = desired;
  return {
    ...desired,
    manifest: {
      ...manifest,
      metadata: {
        ...manifest.metadata,
        annotations: {...manifest.metadata.annotations, [REVISION]: hashOf(manifest['spec'])},
      },
    },
  };
};

const revisionOf = ({manifest}: Desired): string | undefined => manifest.metadata.annotations?.[REVISION];

interface Annotated {
  readonly metadata: {readonly annotations: Readonly<Record<string, string>>};
}

/** Whether the server has exactly what is desired (as far as the operator writes it). */
export const isWritten = (desired: Desired, live: Annotated | undefined): boolean =>
  live !== undefined && live.metadata.annotations[REVISION] === revisionOf(desired);

/** Whether every pod of a StatefulSet has the newest revision and is ready. */
const isRolledOut = ({metadata, spec, status}: Workload): boolean =>
  status.observedGeneration >= metadata.generation &&
  status.readyReplicas >= spec.replicas &&
  (status.updateRevision === undefined || status.updateRevision === status.currentRevision);

/** Written and rolled out: what depends on it may go on. */
export const isSettled = (desired: Desired, live: Workload | undefined): boolean =>
  live !== undefined && isWritten(desired, live) && isRolledOut(live);
