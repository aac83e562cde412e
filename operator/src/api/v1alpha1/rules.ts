import {MAX_NAME_LENGTH} from './group.ts';
import {DENIED_PARAMETERS} from './postgres.ts';
import {quantityBytes, quantityMillis, type Resources} from './quantity.ts';
import {type RegionSpec} from './spec.ts';
import {type Storage} from './storage.ts';
import {type StatelessTier} from './tiers.ts';

/**
 * Rules that a schema of types, patterns and bounds cannot express, each written once: `cel` is what the API server evaluates (it goes into the CRD), `holds` is
 * the same in TypeScript, for the guard in front of the plan. The guard matters where the CRD is older than the operator or was changed by hand.
 */
export interface Rule {
  /** The schema node that the CEL expression sees as `self`; empty for the whole object. */
  readonly at: string;
  /** The field that is wrong, relative to `at`, as CEL's fieldPath: `.size`, or empty for the node itself. */
  readonly field: string;
  readonly cel: string;
  readonly message: string;
  /** Whether `cel` uses `oldSelf`: such a rule is about changes only. */
  readonly transition: boolean;
  /** `before` is what was accepted last, absent for a new region (a transition rule then holds). */
  readonly holds: (now: RegionView, before: Accepted | undefined) => boolean;
}

interface RegionView {
  readonly name: string;
  readonly spec: RegionSpec;
}

/** The part of a spec whose change is limited. */
export interface Accepted {
  readonly region: string;
  readonly postgres: {readonly shards: number; readonly storage: Storage};
  readonly rabbitmq: {readonly partitions: number; readonly storage: Storage};
}

export const acceptedOf = ({region, postgres, rabbitmq}: RegionSpec): Accepted => ({
  region,
  postgres: {shards: postgres.shards, storage: postgres.storage},
  rabbitmq: {partitions: rabbitmq.partitions, storage: rabbitmq.storage},
});

type Toleration = RegionSpec['scheduling']['tolerations'][number];

const NAME = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const PARAMETER_NAME = /^[a-z_][a-z0-9_]*([.][a-z_][a-z0-9_]*)?$/;
/** As that of a label, but in any case. */
const ANNOTATION_KEY =
  /^([A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?[/])?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
/** Syntax of label keys and values (Kubernetes: "Labels and Selectors"). The length of a key's name, 63, is part of it. */
const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?[/])?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const celList = (items: readonly string[]): string => `[${items.map((item) => `'${item}'`).join(', ')}]`;

const always = (rule: Omit<Rule, 'transition' | 'holds'> & {readonly holds: (now: RegionView) => boolean}): Rule => ({
  ...rule,
  transition: false,
});

const onChange = (
  rule: Omit<Rule, 'transition' | 'holds'> & {readonly holds: (now: RegionSpec, before: Accepted) => boolean},
): Rule => ({
  ...rule,
  transition: true,
  holds: ({spec}, before) => before === undefined || rule.holds(spec, before),
});

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

/** Kubernetes would refuse the pods; said here, it is said with the path of the field. */
const resourceRules = (tier: string, of: (spec: RegionSpec) => Resources): readonly Rule[] => [
  always({
    at: `${tier}.resources`,
    field: '.requests.memory',
    cel: 'quantity(string(self.requests.memory)).compareTo(quantity(string(self.limits.memory))) <= 0',
    message: 'a pod cannot be promised more memory than its limit; lower requests.memory or raise limits.memory',
    holds: ({spec}) => {
      const {requests, limits} = of(spec);
      return quantityBytes(requests.memory) <= quantityBytes(limits.memory);
    },
  }),
  always({
    at: `${tier}.resources`,
    field: '.requests.cpu',
    cel: '!has(self.limits.cpu) || quantity(string(self.requests.cpu)).compareTo(quantity(string(self.limits.cpu))) <= 0',
    message: 'a pod cannot be promised more CPU than its limit; lower requests.cpu or raise limits.cpu',
    holds: ({spec}) => {
      const {requests, limits} = of(spec);
      return limits.cpu === undefined || quantityMillis(requests.cpu) <= quantityMillis(limits.cpu);
    },
  }),
];

const storageRules = (at: string, of: (spec: Accepted) => Storage): readonly Rule[] => [
  onChange({
    at,
    field: '.size',
    cel: 'quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0',
    message: 'a volume cannot shrink; to get a smaller one, make a new region and move the devices there',
    holds: (now, before) => quantityBytes(of(now).size) >= quantityBytes(of(before).size),
  }),
  onChange({
    at,
    field: '.className',
    cel: 'has(self.className) == has(oldSelf.className) && (!has(self.className) || self.className == oldSelf.className)',
    message: 'the storage class of existing volumes cannot be changed, added or removed',
    holds: (now, before) => of(now).className === of(before).className,
  }),
];

const labelRule = (at: string, of: (spec: RegionSpec) => Readonly<Record<string, string>>): Rule =>
  always({
    at,
    field: '',
    cel: `self.all(name, name.matches('${LABEL_KEY.source}') && self[name].matches('${LABEL_VALUE.source}'))`,
    message: 'keys and values must be those of Kubernetes labels, e.g. example.com/team: blue',
    holds: ({spec}) =>
      Object.entries(of(spec)).every(([name, value]) => LABEL_KEY.test(name) && LABEL_VALUE.test(value)),
  });

const annotationRule = (at: string, of: (spec: RegionSpec) => Readonly<Record<string, string>>): Rule =>
  always({
    at,
    field: '',
    cel: `self.all(name, name.matches('${ANNOTATION_KEY.source}'))`,
    message: 'keys must be those of Kubernetes annotations, e.g. example.com/team',
    holds: ({spec}) => Object.keys(of(spec)).every((name) => ANNOTATION_KEY.test(name)),
  });

/** Kubernetes judges tolerations only in a pod; one that it refuses would stop every change of every workload. */
const tolerationRules = (): readonly Rule[] => {
  const toleration = (cel: string, message: string, holds: (item: Toleration) => boolean): Rule =>
    always({
      at: 'spec.scheduling.tolerations',
      field: '',
      cel: `self.all(t, ${cel})`,
      message,
      holds: ({spec}) => spec.scheduling.tolerations.every(holds),
    });
  return [
    toleration(
      "t.operator == 'Exists' ? !has(t.value) || t.value == '' : has(t.key) && t.key != ''",
      'operator Exists takes no value, and operator Equal (the default) needs a key',
      ({operator, key = '', value = ''}) => (operator === 'Exists' ? value === '' : key !== ''),
    ),
    toleration(
      "!has(t.tolerationSeconds) || (has(t.effect) && t.effect == 'NoExecute')",
      'tolerationSeconds needs effect NoExecute',
      ({tolerationSeconds, effect}) => tolerationSeconds === undefined || effect === 'NoExecute',
    ),
    toleration(
      `(!has(t.key) || t.key == '' || t.key.matches('${LABEL_KEY.source}')) && (!has(t.value) || t.value.matches('${LABEL_VALUE.source}'))`,
      'keys and values must be those of Kubernetes labels, e.g. example.com/team and blue',
      ({key = '', value = ''}) => (key === '' || LABEL_KEY.test(key)) && LABEL_VALUE.test(value),
    ),
  ];
};

const keysWithout = (record: Readonly<Record<string, unknown>>, prefixes: readonly string[]): boolean =>
  Object.keys(record).every((key) => !prefixes.some((prefix) => key.startsWith(prefix)));

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
  ...resourceRules('spec.deviceApi', (spec) => spec.deviceApi.resources),
  ...resourceRules('spec.adminApi', (spec) => spec.adminApi.resources),
  ...resourceRules('spec.workers', (spec) => spec.workers.resources),
  ...resourceRules('spec.keeper', (spec) => spec.keeper.resources),
  ...resourceRules('spec.postgres', (spec) => spec.postgres.resources),
  ...resourceRules('spec.rabbitmq', (spec) => spec.rabbitmq.resources),
  ...resourceRules('spec.redis', (spec) => spec.redis.resources),
  always({
    at: 'spec.redis',
    field: '.maxMemory',
    cel: 'quantity(self.maxMemory).compareTo(quantity(string(self.resources.limits.memory))) < 0',
    message: 'the cache must be smaller than resources.limits.memory, or the kernel ends it when it is full',
    holds: ({spec}) => quantityBytes(spec.redis.maxMemory) < quantityBytes(spec.redis.resources.limits.memory),
  }),
  onChange({
    at: 'spec.postgres.shards',
    field: '',
    cel: 'self >= oldSelf',
    message: 'the number of shards may only grow, because a removed shard would take its devices with it',
    holds: (now, before) => now.postgres.shards >= before.postgres.shards,
  }),
  ...storageRules('spec.postgres.storage', (spec) => spec.postgres.storage),
  always({
    at: 'spec.postgres.parameters',
    field: '',
    cel: `self.all(name, !(name in ${celList(DENIED_PARAMETERS)}))`,
    message: `these are set by the operator: ${DENIED_PARAMETERS.join(', ')}`,
    holds: ({spec}) =>
      Object.keys(spec.postgres.parameters).every((name) => !DENIED_PARAMETERS.some((denied) => denied === name)),
  }),
  always({
    at: 'spec.postgres.parameters',
    field: '',
    cel: `self.all(name, name.matches('${PARAMETER_NAME.source}') && !self[name].matches('[\\\\r\\\\n]'))`,
    message: 'names of settings consist of a-z, 0-9, _ and one dot; values have no line breaks',
    holds: ({spec}) =>
      Object.entries(spec.postgres.parameters).every(
        ([name, value]) => PARAMETER_NAME.test(name) && !/[\r\n]/.test(value),
      ),
  }),
  onChange({
    at: 'spec.rabbitmq.partitions',
    field: '',
    cel: 'self == oldSelf',
    message: 'the number of partitions cannot be changed, because batches wait in them',
    holds: (now, before) => now.rabbitmq.partitions === before.rabbitmq.partitions,
  }),
  ...storageRules('spec.rabbitmq.storage', (spec) => spec.rabbitmq.storage),
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
  annotationRule('spec.ingress.annotations', (spec) => spec.ingress.annotations),
  labelRule('spec.scheduling.nodeSelector', (spec) => spec.scheduling.nodeSelector),
  ...tolerationRules(),
  labelRule('spec.common.labels', (spec) => spec.common.labels),
  always({
    at: 'spec.common.labels',
    field: '',
    cel: "self.all(name, !name.startsWith('pisync.io/') && !name.startsWith('app.kubernetes.io/'))",
    message: 'labels that begin with pisync.io/ or app.kubernetes.io/ are set by the operator',
    holds: ({spec}) => keysWithout(spec.common.labels, ['pisync.io/', 'app.kubernetes.io/']),
  }),
  annotationRule('spec.common.annotations', (spec) => spec.common.annotations),
  always({
    at: 'spec.common.annotations',
    field: '',
    cel: "self.all(name, !name.startsWith('pisync.io/'))",
    message: 'annotations that begin with pisync.io/ are set by the operator',
    holds: ({spec}) => keysWithout(spec.common.annotations, ['pisync.io/']),
  }),
];
