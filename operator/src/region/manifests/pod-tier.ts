import {type PodTemplate} from '../../api/v1alpha1/pod-template.ts';
import {type Tier} from '../../api/v1alpha1/spec.ts';
import {type RegionContext} from '../context.ts';
import {type PodComponent} from '../labels.ts';

/** What the spec's `podTemplate` adds to the pods of one component. */

/** Migrations come with the keeper: they are ours to run, and nobody scales them. */
const TIER_OF: Readonly<Record<PodComponent, Tier>> = {
  'device-api': 'deviceApi',
  'admin-api': 'adminApi',
  worker: 'workers',
  keeper: 'keeper',
  migration: 'keeper',
  postgres: 'postgres',
  rabbitmq: 'rabbitmq',
  redis: 'redis',
};

export const templateOf = ({spec}: RegionContext, component: PodComponent): PodTemplate =>
  spec[TIER_OF[component]].podTemplate ?? {};

/** The user that `imageUser`'s process runs as instead; `assigned` by a platform that lets nobody else choose. */
export const userOf = (
  {spec}: RegionContext,
  {securityContext: {runAsUser, runAsGroup, fsGroup} = {}}: PodTemplate,
  imageUser: number,
): {readonly isOfImage: boolean; readonly ids: object} => {
  const groups = {...(runAsGroup === undefined ? {} : {runAsGroup}), ...(fsGroup === undefined ? {} : {fsGroup})};
  if (spec.common.userIds === 'Platform' && runAsUser === undefined) return {isOfImage: false, ids: groups};
  const user = runAsUser ?? imageUser;
  return {
    isOfImage: user === imageUser,
    ids: {runAsUser: user, runAsGroup: user, fsGroup: user, ...groups},
  };
};

type Volume = NonNullable<PodTemplate['volumes']>[number];

/** Volumes of the spec and those of the operator have names of their own. */
const nameOf = ({name}: Volume): string => `extra-${name}`;

export const extraVolumes = ({volumes = []}: PodTemplate): readonly object[] =>
  volumes.map((volume) => {
    const {configMap, secret, emptyDir} = volume;
    return {
      name: nameOf(volume),
      ...(configMap === undefined ? {} : {configMap}),
      ...(secret === undefined ? {} : {secret}),
      ...(emptyDir === undefined ? {} : {emptyDir}),
    };
  });

export const extraMounts = ({volumes = []}: PodTemplate): readonly object[] =>
  volumes.map((volume) => ({
    name: nameOf(volume),
    mountPath: volume.mountPath,
    ...(volume.emptyDir === undefined ? {readOnly: true} : {}),
  }));
