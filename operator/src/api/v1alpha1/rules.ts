import {connectionRule} from './connections.ts';
import {MAX_NAME_LENGTH} from './group.ts';
import {
  childAnnotationRules,
  childLabelRules,
  labelRule,
  routeAnnotationRules,
  serviceAnnotationRules,
} from './key-rules.ts';
import {parameterRules} from './parameter-rules.ts';
import {podTemplateRules, tolerationRules} from './pod-rules.ts';
import {quantityBytes} from './quantity.ts';
import {resourceRules} from './resource-rules.ts';
import {always, onChange, type Rule} from './rule.ts';
import {type RegionSpec, TIERS} from './spec.ts';
import {type StatelessTier} from './tiers.ts';

const NAME = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
/** What a DNS name allows and the API server refuses: an Ingress and an HTTPRoute take no address. */
const IP_ADDRESS = /^[0-9]+([.][0-9]+){3}$/;

/** URLs that are read as having an address for a host, as that ends in a number, and those that have one. https://url.spec.whatwg.org/#ends-in-a-number-checker */
const NUMBER_HOST = /^https?:[/][/]([^:/]*[.])?([0-9]+|0[xX][0-9A-Fa-f]*)([:/]|$)/;
const OCTET = '(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
const IPV4_HOST = new RegExp(`^https?:[/][/](${OCTET}[.]){3}${OCTET}([:/]|$)`);

const autoscalingRules = (at: string, of: (spec: RegionSpec) => StatelessTier): readonly Rule[] => [
  always({
    at: `${at}.autoscaling`,
    field: '.minReplicas',
    cel: '!has(self.minReplicas) || self.minReplicas <= self.maxReplicas',
    message: 'minReplicas must not be above maxReplicas',
    holds: ({spec}) => {
      const {minReplicas, maxReplicas} = of(spec).autoscaling;
      return minReplicas === undefined || minReplicas <= maxReplicas;
    },
  }),
  always({
    at,
    field: '.replicas',
    cel: '!self.autoscaling.enabled || has(self.autoscaling.minReplicas) || self.replicas <= self.autoscaling.maxReplicas',
    message: 'replicas is the fewest while autoscaling is enabled, so it must not be above autoscaling.maxReplicas',
    holds: ({spec}) => {
      const {replicas, autoscaling} = of(spec);
      return !autoscaling.enabled || autoscaling.minReplicas !== undefined || replicas <= autoscaling.maxReplicas;
    },
  }),
];

/** A wish may be taken back as far as no volume has followed it: what exists cannot shrink, and what was only wished for need not. */
const storageRules = (tier: 'postgres' | 'rabbitmq', volumes: 'shards' | 'brokerNodes'): readonly Rule[] => [
  {
    at: '',
    field: `.spec.${tier}.storage.size`,
    cel: `quantity(self.spec.${tier}.storage.size).compareTo(quantity(oldSelf.spec.${tier}.storage.size)) >= 0 || !has(self.status) || !has(self.status.${volumes}) || self.status.${volumes}.all(volume, !has(volume.storage) || quantity(self.spec.${tier}.storage.size).compareTo(quantity(volume.storage)) >= 0)`,
    message: `a volume cannot shrink (status.${volumes} has the sizes); to get a smaller one, make a new region and move the devices there`,
    transition: true,
    holds: ({spec}, {accepted, volumes: sizes}) => {
      const wish = quantityBytes(spec[tier].storage.size);
      if (accepted === undefined || wish >= quantityBytes(accepted[tier].storage.size)) return true;
      return sizes[tier].every((size) => wish >= quantityBytes(size));
    },
  },
  onChange({
    at: `spec.${tier}.storage`,
    field: '.className',
    cel: 'has(self.className) == has(oldSelf.className) && (!has(self.className) || self.className == oldSelf.className)',
    message: 'the storage class of existing volumes cannot be changed, added or removed',
    holds: (now, before) => now[tier].storage.className === before[tier].storage.className,
  }),
];

export const RULES: readonly Rule[] = [
  always({
    at: '',
    field: '.metadata.name',
    cel: `size(self.metadata.name) <= ${MAX_NAME_LENGTH}`,
    message: `the name of a region has at most ${MAX_NAME_LENGTH} characters, because its children's names are longer`,
    holds: ({name}) => name.length <= MAX_NAME_LENGTH,
  }),
  always({
    at: '',
    field: '.metadata.name',
    cel: `self.metadata.name.matches('${NAME.source}')`,
    message:
      "the name of a region consists of a-z, 0-9 and '-', and begins with a letter, because Services are named after it",
    holds: ({name}) => NAME.test(name),
  }),
  onChange({
    at: 'spec.region',
    field: '',
    cel: 'self == oldSelf',
    message: "a region's public name cannot be changed, because devices and peers know it",
    holds: (now, before) => now.region === before.region,
  }),
  ...autoscalingRules('spec.deviceApi', (spec) => spec.deviceApi),
  ...autoscalingRules('spec.adminApi', (spec) => spec.adminApi),
  ...autoscalingRules('spec.workers', (spec) => spec.workers),
  ...TIERS.flatMap((tier) => resourceRules(`spec.${tier}.resources`, (spec) => spec[tier].resources)),
  ...TIERS.flatMap((tier) => podTemplateRules(`spec.${tier}`, (spec) => spec[tier])),
  ...(['deviceApi', 'adminApi'] as const).flatMap((tier) =>
    serviceAnnotationRules(`spec.${tier}.serviceAnnotations`, (spec) => spec[tier].serviceAnnotations ?? {}),
  ),
  always({
    at: 'spec.redis',
    field: '.maxMemory',
    cel: '!has(self.maxMemory) || quantity(self.maxMemory).compareTo(quantity(string(self.resources.limits.memory))) < 0',
    message: 'the cache must be smaller than resources.limits.memory, or the kernel ends it when it is full',
    holds: ({spec: {redis}}) =>
      redis.maxMemory === undefined || quantityBytes(redis.maxMemory) < quantityBytes(redis.resources.limits.memory),
  }),
  {
    at: '',
    field: '.spec.postgres.shards',
    cel: '!has(self.status) || !has(self.status.shards) || self.status.shards.all(shard, !has(shard.admitted) || !shard.admitted || shard.id < self.spec.postgres.shards)',
    message:
      'a shard that was admitted cannot be removed, because it would take its devices with it; status.shards says which were',
    transition: true,
    holds: ({spec}, {admitted}) => spec.postgres.shards >= admitted,
  },
  ...storageRules('postgres', 'shards'),
  ...parameterRules,
  connectionRule,
  onChange({
    at: 'spec.rabbitmq.partitions',
    field: '',
    cel: 'self == oldSelf',
    message: 'the number of partitions cannot be changed, because batches wait in them',
    holds: (now, before) => now.rabbitmq.partitions === before.rabbitmq.partitions,
  }),
  ...storageRules('rabbitmq', 'brokerNodes'),
  always({
    at: 'spec.ingress',
    field: '.gatewayRef',
    cel: '!(has(self.className) && has(self.gatewayRef))',
    message: 'choose className (an Ingress) or gatewayRef (HTTPRoutes), not both',
    holds: ({spec}) => spec.ingress.className === undefined || spec.ingress.gatewayRef === undefined,
  }),
  always({
    at: 'spec.ingress',
    field: '.host',
    cel: 'has(self.host) || !has(self.adminHost)',
    message: 'a region that people reach needs a host for devices, too',
    holds: ({spec}) => spec.ingress.host !== undefined || spec.ingress.adminHost === undefined,
  }),
  always({
    at: 'spec.ingress',
    field: '.adminHost',
    cel: '!(has(self.host) && has(self.adminHost)) || self.host != self.adminHost',
    message: 'host and adminHost must differ, because they lead to different services',
    holds: ({spec}) => spec.ingress.host === undefined || spec.ingress.host !== spec.ingress.adminHost,
  }),
  always({
    at: 'spec.ingress',
    field: '.tls.mode',
    cel: "!has(self.gatewayRef) || self.tls.mode == 'None'",
    message: 'with gatewayRef the Gateway holds the certificate, so tls.mode must be None',
    holds: ({spec}) => spec.ingress.gatewayRef === undefined || spec.ingress.tls.mode === 'None',
  }),
  always({
    at: 'spec.ingress.tls',
    field: '.secretName',
    cel: "self.mode != 'Secret' || has(self.secretName)",
    message: 'mode Secret needs secretName',
    holds: ({spec}) => spec.ingress.tls.mode !== 'Secret' || spec.ingress.tls.secretName !== undefined,
  }),
  ...(['host', 'adminHost'] as const).map((field) =>
    always({
      at: 'spec.ingress',
      field: `.${field}`,
      cel: `!has(self.${field}) || !self.${field}.matches('${IP_ADDRESS.source}')`,
      message: 'a route needs a name, not an IP address',
      holds: ({spec}) => !IP_ADDRESS.test(spec.ingress[field] ?? ''),
    }),
  ),
  always({
    at: 'spec.monitoring.tracing',
    field: '.endpoint',
    cel: `!has(self.endpoint) || !self.endpoint.matches('${NUMBER_HOST.source}') || self.endpoint.matches('${IPV4_HOST.source}')`,
    message: 'a host that ends in a number must be an IPv4 address',
    holds: ({spec}) => {
      const {endpoint = ''} = spec.monitoring.tracing;
      return !NUMBER_HOST.test(endpoint) || IPV4_HOST.test(endpoint);
    },
  }),
  ...routeAnnotationRules('spec.ingress.annotations', (spec) => spec.ingress.annotations),
  labelRule('spec.scheduling.nodeSelector', (spec) => spec.scheduling.nodeSelector),
  ...tolerationRules('spec.scheduling.tolerations', (spec) => spec.scheduling.tolerations),
  ...childLabelRules('spec.common.labels', (spec) => spec.common.labels),
  ...childAnnotationRules('spec.common.annotations', (spec) => spec.common.annotations),
];
