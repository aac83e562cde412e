import {type Desired} from '../../kube/controller.ts';
import {type KubeObject} from '../../kube/object.ts';
import {isComplete} from '../children.ts';
import {type RegionContext} from '../context.ts';
import {withRevision} from '../template.ts';
import {KINDS} from '../kinds.ts';
import {COMPONENT, metadataOf, SHARD, VOLUME} from '../labels.ts';
import {podTemplate, templateSpec} from './pod.ts';
import {servicePod} from './service-pod.ts';

/** Jobs of other images for the same shard. A complete one tells which volume it has migrated until another has done the same. */
export const otherJobs = ({children, names}: RegionContext, shardId: number): readonly KubeObject[] =>
  children
    .labelled(KINDS.job, SHARD, String(shardId))
    .filter(({metadata: {name, labels}}) => labels?.[COMPONENT] === 'migration' && name !== names.migration(shardId));

/** Name of the Job that tells which volume of the shard has been migrated, if there is one. */
export const recordingJob = (context: RegionContext, shardId: number): string => {
  const {children, names} = context;
  const own = names.migration(shardId);
  const others = otherJobs(context, shardId).map(({metadata}) => metadata.name);
  return children.job(own) === undefined ? (others.find((name) => isComplete(children.job(name))) ?? own) : own;
};

/**
 * The claim whose volume a shard's Job has migrated, or is going to: written down when the Job is made, and never changed with the claim. Undefined
 * while the claim is not seen.
 */
const migratedVolume = (context: RegionContext, shardId: number): string | undefined =>
  context.children.job(recordingJob(context, shardId))?.metadata.annotations[VOLUME] ??
  context.children.volume(context.names.shardVolume(shardId))?.uid;

/** Whether the shard has another volume now than the one that its Job has migrated. */
export const isVolumeReplaced = (context: RegionContext, shardId: number): boolean => {
  const now = context.children.volume(context.names.shardVolume(shardId))?.uid;
  return now !== undefined && now !== migratedVolume(context, shardId);
};

/** Brings one shard to the schema that the image of the services needs. */
export const migrationJob = (context: RegionContext, shardId: number): Desired => {
  const volume = migratedVolume(context, shardId);
  const annotations = volume === undefined ? {} : {[VOLUME]: volume};
  const {version, images, keeper, monitoring} = context.spec;
  const live = context.children.job(context.names.migration(shardId));
  const desired: Desired = {
    manifest: {
      ...KINDS.job,
      metadata: metadataOf(context, context.names.migration(shardId), 'migration', {shardId, annotations}),
      spec: {
        completions: 1,
        parallelism: 1,
        // With the Job controller's own back-off (10 s, 20 s, ...) about ten minutes until the Job counts as failed.
        backoffLimit: 6,
        template: podTemplate(context, {
          component: 'migration',
          shardId,
          ...servicePod(context, {
            command: 'migrate',
            args: ['--shard', String(shardId)],
            secrets: [],
            // Shard 0 has the slot map.
            shards: [...new Set([0, shardId])],
            resources: keeper.resources,
            logLevel: keeper.logLevel,
          }),
          restartPolicy: 'Never',
          gracePeriodSeconds: 30,
        }),
      },
    },
  };
  const origin = templateSpec(context, {version, image: images.service, tracing: monitoring.tracing, ...keeper});
  return withRevision(desired, {spec: origin, steady: {live}});
};
