import {always, type Rule} from './rule.ts';
import {type RegionSpec} from './spec.ts';

/** What is text to us and has a syntax, and a meaning to others, in Kubernetes: labels and annotations. */

const DOMAIN = '[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*';
const KEY_NAME = '[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?';
/** Syntax of label keys and values (Kubernetes: "Labels and Selectors"). The length of a key's name, 63, is part of it. */
export const LABEL_KEY = new RegExp(`^(${DOMAIN}[/])?${KEY_NAME}$`);
export const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
/** As that of a label, but in any case. */
const ANNOTATION_KEY = new RegExp(`^(${DOMAIN.replaceAll('a-z', 'A-Za-z')}[/])?${KEY_NAME}$`);
/** A prefix is a DNS subdomain, and those have at most 253 characters. */
const PREFIX_LENGTH = /^([^/]{1,253}[/])?[^/]+$/;

/**
 * Prefixes by which controllers are told what to do with an object, with all domains below them. On a child such a key would take it away from those who need
 * it: `service.kubernetes.io/service-proxy-name` takes a Service out of the cluster's network, a tracking label of a GitOps tool has the child pruned.
 */
const RESERVED = /^([^/]*[.])?(kubernetes[.]io|k8s[.]io|pisync[.]io|helm[.]sh|argoproj[.]io|fluxcd[.]io)[/]/;
const RESERVED_WORDS = 'kubernetes.io, k8s.io, pisync.io, helm.sh, argoproj.io and fluxcd.io';

type Texts = Readonly<Record<string, string>>;
type Of = (spec: RegionSpec) => Texts;

export const labelRule = (at: string, of: Of): Rule =>
  always({
    at,
    field: '',
    cel: `self.all(name, name.matches('${LABEL_KEY.source}') && name.matches('${PREFIX_LENGTH.source}') && self[name].matches('${LABEL_VALUE.source}'))`,
    message: 'keys and values must be those of Kubernetes labels, e.g. example.com/team: blue',
    holds: ({spec}) =>
      Object.entries(of(spec)).every(
        ([name, value]) => LABEL_KEY.test(name) && PREFIX_LENGTH.test(name) && LABEL_VALUE.test(value),
      ),
  });

const annotationRule = (at: string, of: Of): Rule =>
  always({
    at,
    field: '',
    cel: `self.all(name, name.matches('${ANNOTATION_KEY.source}') && name.matches('${PREFIX_LENGTH.source}'))`,
    message: 'keys must be those of Kubernetes annotations, e.g. example.com/team',
    holds: ({spec}) => Object.keys(of(spec)).every((name) => ANNOTATION_KEY.test(name) && PREFIX_LENGTH.test(name)),
  });

/** `but` are reserved keys that make sense here. */
const reservedRule = (at: string, of: Of, but?: {readonly keys: RegExp; readonly words: string}): Rule =>
  always({
    at,
    field: '',
    cel: `self.all(name, !name.matches('${RESERVED.source}')${but === undefined ? '' : ` || name.matches('${but.keys.source}')`})`,
    message: `keys of ${RESERVED_WORDS}, and of domains below them, belong to the operator and to controllers${but === undefined ? '' : `; of these only ${but.words} are taken`}`,
    holds: ({spec}) => Object.keys(of(spec)).every((name) => !RESERVED.test(name) || but?.keys.test(name) === true),
  });

/** Kubernetes takes 256 KiB of annotations an object. Several of these meet on one child. */
const ANNOTATION_BYTES = 65_536;

const sizeRule = (at: string, of: Of): Rule =>
  always({
    at,
    field: '',
    cel: `self.map(name, size(bytes(name)) + size(bytes(self[name]))).sum() <= ${ANNOTATION_BYTES}`,
    message: `keys and values together must not have more than ${ANNOTATION_BYTES} bytes`,
    holds: ({spec}) => Buffer.byteLength(Object.entries(of(spec)).flat().join('')) <= ANNOTATION_BYTES,
  });

export const childLabelRules = (at: string, of: Of): readonly Rule[] => [labelRule(at, of), reservedRule(at, of)];

/** Pods are asked to be evicted, or not, by an annotation. */
export const childAnnotationRules = (at: string, of: Of): readonly Rule[] => [
  annotationRule(at, of),
  reservedRule(at, of, {
    keys: /^cluster-autoscaler[.]kubernetes[.]io[/]/,
    words: 'those of cluster-autoscaler.kubernetes.io',
  }),
  sizeRule(at, of),
];

/** How ingress controllers are configured. The class has a field of its own, which the annotation `kubernetes.io/ingress.class` would contradict. */
export const routeAnnotationRules = (at: string, of: Of): readonly Rule[] => [
  annotationRule(at, of),
  reservedRule(at, of, {
    keys: /^(([^/]*[.])?ingress[.]kubernetes[.]io[/]|external-dns[.]alpha[.]kubernetes[.]io[/]|kubernetes[.]io[/](tls-acme|ingress[.]allow-http|ingress[.](global|regional)-static-ip-name)$)/,
    words:
      'ingress.kubernetes.io with what is below it, external-dns.alpha.kubernetes.io, kubernetes.io/tls-acme, kubernetes.io/ingress.allow-http and kubernetes.io/ingress.(global|regional)-static-ip-name',
  }),
  sizeRule(at, of),
];

/** How a cloud's load balancer is configured. */
export const serviceAnnotationRules = (at: string, of: Of): readonly Rule[] => [
  annotationRule(at, of),
  reservedRule(at, of, {
    keys: /^(service([.](alpha|beta))?[.]kubernetes[.]io|external-dns[.]alpha[.]kubernetes[.]io)[/]/,
    words: 'those of service.kubernetes.io, service.beta.kubernetes.io and external-dns.alpha.kubernetes.io',
  }),
  sizeRule(at, of),
];
