import {SECRET_KEYS} from '@pisync/contract/files';
import {acceptedOf} from '../../api/v1alpha1/rule.ts';
import {type Desired} from '../../kube/controller.ts';
import {type RegionContext} from '../context.ts';
import {KINDS} from '../kinds.ts';
import {ACCEPTED, type Component, KEPT, metadataOf} from '../labels.ts';
import {USER} from '../names.ts';
import {acceptedText} from '../accepted.ts';
import {volumeAnnotations} from '../engines/known-volumes.ts';
import {neededShards, shardIds, takenBack} from '../shards.ts';

/** 24 random bytes: 192 bits, 32 characters. */
const PASSWORD = {bytes: 24, encoding: 'base64url'} as const;
/** 32 random bytes: a key for HMAC-SHA256. */
const KEY = {bytes: 32, encoding: 'base64url'} as const;

const secret = (
  context: RegionContext,
  name: string,
  component: Component,
  generated: NonNullable<Desired['generated']>,
  options: {readonly username?: string; readonly shardId?: number; readonly annotations?: Record<string, string>} = {},
): Desired => {
  const {username, shardId, annotations} = options;
  const outlives = context.spec.deletionPolicy === 'Retain';
  const metadata = {
    ...(shardId === undefined ? {} : {shardId}),
    annotations: {...(outlives ? KEPT : {}), ...annotations},
  };
  return {
    manifest: {
      ...KINDS.secret,
      metadata: metadataOf(context, name, component, metadata),
      type: 'Opaque',
      ...(username === undefined ? {} : {data: {username: Buffer.from(username).toString('base64')}}),
    },
    generated,
    // Without its password retained data would be of little use.
    ownership: outlives ? 'none' : 'controller',
  };
};

const shardSecret = (context: RegionContext, shardId: number): Desired =>
  secret(
    context,
    context.names.shard(shardId),
    'postgres',
    {[SECRET_KEYS.shard.password]: PASSWORD},
    {username: USER, shardId},
  );

/** Every credential of the region. Each value is made once and then never changed by the operator. `admitted`: how many shards are from now on. */
export const secrets = (context: RegionContext, admitted: number): readonly Desired[] => {
  const {names, spec} = context;
  return [
    ...[...shardIds(context), ...takenBack(context, KINDS.secret, names.shard)].map((id) => shardSecret(context, id)),
    secret(
      context,
      names.rabbitmq,
      'rabbitmq',
      {[SECRET_KEYS.rabbitmq.password]: PASSWORD, [SECRET_KEYS.rabbitmq.erlangCookie]: PASSWORD},
      {username: USER},
    ),
    secret(context, names.redis, 'redis', {[SECRET_KEYS.redis.password]: PASSWORD}),
    secret(context, names.signing, 'credentials', {[SECRET_KEYS.signing.key]: KEY}),
    secret(context, names.audit, 'credentials', {[SECRET_KEYS.audit.key]: KEY}),
    secret(
      context,
      names.bootstrap,
      'credentials',
      {[SECRET_KEYS.bootstrap.adminToken]: KEY, [SECRET_KEYS.bootstrap.enrolmentToken]: KEY},
      // With the data, so that a region that comes back is held to what its data was made with.
      {annotations: {[ACCEPTED]: acceptedText(acceptedOf(spec, admitted)), ...volumeAnnotations(context)}},
    ),
  ];
};

/** Names of the Secrets without which the region cannot start. */
export const neededSecrets = (context: RegionContext): readonly string[] => {
  const {names} = context;
  const shards = shardIds(context).slice(0, neededShards(context));
  const others = [names.rabbitmq, names.redis, names.signing, names.audit, names.bootstrap];
  return [...shards.map((id) => names.shard(id)), ...others];
};
