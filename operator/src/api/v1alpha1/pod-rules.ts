import {childAnnotationRules, childLabelRules, LABEL_KEY, LABEL_VALUE, labelRule} from './key-rules.ts';
import {type PodTemplate} from './pod-template.ts';
import {always, type Rule} from './rule.ts';
import {type RegionSpec} from './spec.ts';

type Toleration = NonNullable<PodTemplate['tolerations']>[number];

/** Kubernetes judges tolerations only in a pod; one that it refuses would stop every change of every workload. */
export const tolerationRules = (
  at: string,
  of: (spec: RegionSpec) => readonly Toleration[] | undefined,
): readonly Rule[] => {
  const toleration = (cel: string, message: string, holds: (item: Toleration) => boolean): Rule =>
    always({
      at,
      field: '',
      cel: `self.all(t, ${cel})`,
      message,
      holds: ({spec}) => of(spec)?.every(holds) ?? true,
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

/**
 * Variables by which the operator and start-up scripts tell the programs what to do, and by which another program would take their place, or they would trust
 * anybody. NODE_EXTRA_CA_CERTS is not among them: it adds an authority, which platforms have of their own.
 */
const RESERVED_ENV =
  /^(PISYNC_.*|KUBERNETES_.*|RABBITMQ_.*|ERL_.*|PG.*|LD_.*|OPENSSL_.*|NODE_OPTIONS|NODE_PATH|NODE_TLS_REJECT_UNAUTHORIZED|BASH_ENV|ENV|GCONV_PATH|POD_NAME|POD_NAMESPACE|HOME|PATH)$/;

const one = (...given: readonly unknown[]): boolean => given.filter((item) => item !== undefined).length === 1;

/** Rules about `podTemplate` of one tier. */
export const podTemplateRules = (
  tier: string,
  of: (spec: RegionSpec) => {readonly podTemplate?: PodTemplate | undefined},
): readonly Rule[] => {
  const at = `${tier}.podTemplate`;
  const template = (spec: RegionSpec): PodTemplate => of(spec).podTemplate ?? {};
  return [
    ...childLabelRules(`${at}.labels`, (spec) => template(spec).labels ?? {}),
    ...childAnnotationRules(`${at}.annotations`, (spec) => template(spec).annotations ?? {}),
    labelRule(`${at}.nodeSelector`, (spec) => template(spec).nodeSelector ?? {}),
    ...tolerationRules(`${at}.tolerations`, (spec) => template(spec).tolerations),
    always({
      at: `${at}.env`,
      field: '',
      cel: `self.all(e, !e.name.matches('${RESERVED_ENV.source}'))`,
      message:
        'PATH, HOME, ENV, BASH_ENV, GCONV_PATH, NODE_OPTIONS, NODE_PATH, NODE_TLS_REJECT_UNAUTHORIZED, POD_NAME, POD_NAMESPACE and what begins with PISYNC_, KUBERNETES_, RABBITMQ_, ERL_, PG, LD_ or OPENSSL_ is for the operator alone',
      holds: ({spec}) => (template(spec).env ?? []).every(({name}) => !RESERVED_ENV.test(name)),
    }),
    always({
      at: `${at}.env`,
      field: '',
      cel: 'self.all(e, has(e.value) != has(e.valueFrom) && (!has(e.valueFrom) || has(e.valueFrom.secretKeyRef) != has(e.valueFrom.configMapKeyRef)))',
      message: 'a variable has a value, or valueFrom with a secretKeyRef or a configMapKeyRef',
      holds: ({spec}) =>
        (template(spec).env ?? []).every(
          ({value, valueFrom}) =>
            one(value, valueFrom) &&
            (valueFrom === undefined || one(valueFrom.secretKeyRef, valueFrom.configMapKeyRef)),
        ),
    }),
    always({
      at: `${at}.volumes`,
      field: '',
      cel: 'self.all(v, [has(v.configMap), has(v.secret), has(v.emptyDir)].exists_one(given, given))',
      message: 'a volume has one of configMap, secret and emptyDir',
      holds: ({spec}) =>
        (template(spec).volumes ?? []).every(({configMap, secret, emptyDir}) => one(configMap, secret, emptyDir)),
    }),
    always({
      at: `${at}.volumes`,
      field: '',
      cel: 'self.all(v, self.exists_one(other, other.mountPath == v.mountPath))',
      message: 'two volumes cannot be at the same mountPath',
      holds: ({spec}) => {
        const places = (template(spec).volumes ?? []).map(({mountPath}) => mountPath);
        return new Set(places).size === places.length;
      },
    }),
  ];
};
