import {type Desired} from '../kube/controller.ts';
import {recordOf} from '../kube/object.ts';
import {type Job, type Workload} from './children.ts';
import {hashOf} from './hash.ts';
import {CONFIG_HASH, ownLabelsOf, REVISION, SPEC_REVISION} from './labels.ts';

/**
 * What the operator writes into a StatefulSet, Deployment or Job does two jobs. The pod template makes pods restart, so its changes may have to wait.
 * Everything else (what becomes of volumes, how many pods, labels of the object itself) may not. So only the template has a revision, and while it
 * waits the object is written with the template that the server has.
 */
export interface Origin {
  /** The part of the region's spec that the template is made from: what a person has asked for, whichever operator makes a template of it. */
  readonly spec: unknown;
  /**
   * What exists of a workload whose restart costs something. Its pods get other labels and annotations with the next template that is worth a restart.
   * Absent where they may be replaced for labels alone.
   */
  readonly steady?: {readonly live: Workload | Job | undefined};
}

type Fields = Readonly<Record<string, unknown>>;

const templateOf = ({manifest}: Desired): Fields => recordOf(recordOf(manifest['spec'])['template']);

/** `life`: of what is there, if the template has anything of it. A Job's has labels of its controller, with which no other one can be made. */
const withTemplate = (
  desired: Desired,
  template: Fields,
  annotations: Readonly<Record<string, string>>,
  life: string | undefined,
): Desired => {
  const {manifest} = desired;
  const {metadata} = manifest;
  return {
    ...desired,
    ...(life === undefined ? {} : {life}),
    manifest: {
      ...manifest,
      metadata: {...metadata, annotations: {...metadata.annotations, ...annotations}},
      spec: {...recordOf(manifest['spec']), template},
    },
  };
};

/** Signed with the hash of its template, by which {@link isWritten} knows whether the server has this very one. */
export const withRevision = (desired: Desired, {spec, steady}: Origin): Desired => {
  const {metadata, ...pod} = templateOf(desired);
  const revision = hashOf([
    pod,
    steady === undefined ? metadata : recordOf(recordOf(metadata)['annotations'])[CONFIG_HASH],
  ]);
  const live = steady?.live;
  const same = live?.metadata.annotations[REVISION] === revision ? live : undefined;
  const kept = same?.spec.template['metadata'];
  return withTemplate(
    desired,
    {metadata: kept === undefined ? metadata : withOwnLabels(recordOf(kept), recordOf(metadata)), ...pod},
    {[REVISION]: revision, [SPEC_REVISION]: hashOf(spec)},
    same?.metadata.uid,
  );
};

/** Ours are put right at once if somebody changes them; who did has restarted the pods. */
const withOwnLabels = (live: Fields, wished: Fields): Fields => ({
  ...live,
  labels: {...recordOf(live['labels']), ...ownLabelsOf(recordOf(wished['labels']))},
});

const revisionOf = ({manifest}: Desired): string | undefined => manifest.metadata.annotations?.[REVISION];

interface Annotated {
  readonly metadata: {readonly annotations: Readonly<Record<string, string>>};
}

/** Whether the server has the template that is desired (as far as the operator writes it). */
export const isWritten = (desired: Desired, live: Annotated | undefined): boolean =>
  live !== undefined && live.metadata.annotations[REVISION] === revisionOf(desired);

/** As desired, but with the template that the server has: nothing restarts. */
export const withLiveTemplate = (desired: Desired, {metadata, spec}: Workload | Job): Desired => {
  const {annotations, uid} = metadata;
  const known = [REVISION, SPEC_REVISION].flatMap((name) => {
    const value = annotations[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return withTemplate(desired, spec.template, {[REVISION]: '', ...Object.fromEntries(known)}, uid);
};
