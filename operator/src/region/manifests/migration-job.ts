import {type Desired} from '../../kube/controller.ts';
import {type RegionContext} from '../context.ts';
import {withRevision} from '../engines/engine.ts';
import {KINDS} from '../kinds.ts';
import {metadataOf, VOLUME} from '../labels.ts';
import {podTemplate, templateSpec} from './pod.ts';
import {servicePod} from './service-pod.ts';

const RESOURCES = {requests: {cpu: '50m', memory: '128Mi'}, limits: {memory: '512Mi'}};

/**
 * The claim whose volume a shard's Job has migrated, or is going to: written down when the Job is made, and never changed with the claim. Undefined
 * while the claim is not seen.
 */
const migratedVolume = ({children, names}: RegionContext, shardId: number): string | undefined =>
  children.job(names.migration(shardId))?.metadata.annotations[VOLUME] ??
  children.volume(names.shardVolume(shardId))?.uid;

/** Whether the shard has another volume now than the one that its Job has migrated. */
export const isVolumeReplaced = (context: RegionContext, shardId: number): boolean => {
  const now = context.children.volume(context.names.shardVolume(shardId))?.uid;
  return now !== undefined && now !== migratedVolume(context, shardId);
};

/** Brings one shard to the schema that this release needs. Its name carries the schema's version: a new version is a new Job. */
export const migrationJob = (context: RegionContext, shardId: number): Desired => {
  const volume = migratedVolume(context, shardId);
  const annotations = volume === undefined ? {} : {[VOLUME]: volume};
  const {version, images, keeper} = context.spec;
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
            resources: RESOURCES,
            logLevel: keeper.logLevel,
          }),
          restartPolicy: 'Never',
          gracePeriodSeconds: 30,
        }),
      },
    },
  };
  const origin = templateSpec(context, {version, image: images.service, logLevel: keeper.logLevel});
  return withRevision(desired, {spec: origin, steady: {live}});
};
