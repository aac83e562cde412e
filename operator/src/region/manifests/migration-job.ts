import {ENV} from '@pisync/contract/env';
import {type Desired} from '../../kube/controller.ts';
import {type KubeObject} from '../../kube/object.ts';
import {type RegionContext} from '../context.ts';
import {withRevision} from '../template.ts';
import {KINDS} from '../kinds.ts';
import {isMigrationOf} from '../names.ts';
import {COMPONENT, metadataOf, SHARD, VOLUME} from '../labels.ts';
import {podTemplate, templateSpec} from './pod.ts';
import {servicePod} from './service-pod.ts';

/** All Jobs of a shard, also those of other images. */
export const migrationJobs = ({children, name}: RegionContext, shardId: number): readonly KubeObject[] =>
  children
    .labelled(KINDS.job, SHARD, String(shardId))
    .filter(({metadata}) => metadata.labels?.[COMPONENT] === 'migration' && isMigrationOf(name, metadata.name));

/** Jobs of other images, the oldest first. */
export const otherJobs = (context: RegionContext, shardId: number): readonly KubeObject[] =>
  migrationJobs(context, shardId)
    .filter(({metadata}) => metadata.name !== context.names.migration(shardId))
    .toSorted(
      ({metadata: a}, {metadata: b}) => Date.parse(a.creationTimestamp ?? '') - Date.parse(b.creationTimestamp ?? ''),
    );

/** Brings one shard to the schema that the image of the services needs. */
export const migrationJob = (context: RegionContext, shardId: number): Desired => {
  const live = context.children.job(context.names.migration(shardId));
  // Written down when the Job is made, and never changed with the claim.
  const volume =
    live === undefined
      ? context.children.volume(context.names.shardVolume(shardId))?.uid
      : live.metadata.annotations[VOLUME];
  const annotations = volume === undefined ? {} : {[VOLUME]: volume};
  const {version, images, keeper, monitoring} = context.spec;
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
            // Said here, because the file with the topology may be another one by the time that the pod reads it.
            ...(shardId === 0 ? {env: {[ENV.firstShards]: String(context.admitted)}} : {}),
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
