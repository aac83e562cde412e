import {FOREIGN, KINDS} from '@pisync/operator/region/kinds';
import {type KubeObject} from './kubectl.ts';
import {type Region} from './region.ts';

/** The kinds that the operator makes, as kubectl knows them. */
export const MADE_KINDS = Object.values(KINDS)
  .filter(({kind}) => !FOREIGN.has(kind))
  .map(({kind}) => kind.toLowerCase());

/** What the API server and controllers keep in an object for themselves. */
const OWN_METADATA = new Set(['uid', 'resourceVersion', 'generation', 'creationTimestamp', 'managedFields']);
const OWN_KEYS = /^deployment\.kubernetes\.io\/revision$|controller-uid$/;

/** Children by `kind/name`, each as a flat list of what is wished of it: value by path. */
export type Children = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export const childrenOf = async (region: Region): Promise<Children> => {
  const objects = await region.kubectl.list(MADE_KINDS.join(), `app.kubernetes.io/instance=${region.name}`);
  const autoscaled = new Set(objects.map(autoscaledName));
  return Object.fromEntries(
    objects.map((object) => {
      const {'spec.replicas': replicas, ...wish} = flat(wishOf(object));
      const name = nameOf(object);
      return [name, autoscaled.has(name) ? wish : {...wish, 'spec.replicas': replicas}];
    }),
  );
};

/** The workload whose replicas are the autoscaler's to choose, if this object is one. */
function autoscaledName({kind, spec}: KubeObject): string | undefined {
  const target = spec?.['scaleTargetRef'] as {kind: string; name: string} | undefined;
  return kind === 'HorizontalPodAutoscaler' && target !== undefined ? `${target.kind}/${target.name}` : undefined;
}

/** What differs, a line each: children that came and went, and fields. */
export const differences = (before: Children, after: Children): readonly string[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().flatMap((name) => {
    const one = before[name];
    const other = after[name];
    if (one === undefined) return [`${name} is new`];
    if (other === undefined) return [`${name} is gone`];
    return [...new Set([...Object.keys(one), ...Object.keys(other)])]
      .filter((path) => one[path] !== other[path])
      .map((path) => `${name} ${path}: ${brief(one[path])} -> ${brief(other[path])}`);
  });

/** Workloads that are still being replaced; Ready says that there are none. */
export const unsettled = async (region: Region): Promise<readonly string[]> => {
  const objects = await region.kubectl.list('deployment,statefulset', `app.kubernetes.io/instance=${region.name}`);
  return objects.filter((object) => !isSettled(object)).map(nameOf);
};

function isSettled({kind, metadata, spec, status = {}}: KubeObject): boolean {
  const wanted = spec?.['replicas'];
  if (status['observedGeneration'] !== metadata.generation) return false;
  if (kind === 'StatefulSet')
    return status['updateRevision'] === status['currentRevision'] && (status['readyReplicas'] ?? 0) === wanted;
  return ['replicas', 'updatedReplicas', 'availableReplicas'].every((field) => (status[field] ?? 0) === wanted);
}

const nameOf = ({kind, metadata}: KubeObject): string => `${kind}/${metadata.name}`;
const brief = (value: unknown): string => ((JSON.stringify(value) as string | undefined) ?? 'undefined').slice(0, 200);

function wishOf(object: KubeObject): unknown {
  const {status: _status, metadata, ...rest} = object;
  const wished = Object.fromEntries(Object.entries(metadata).filter(([key]) => !OWN_METADATA.has(key)));
  // The keeper's own.
  if (object.kind === 'ConfigMap' && metadata.name.endsWith('-facts')) return {metadata: wished};
  if (object.kind !== 'Job') return {...rest, metadata: wished};
  // A Job's template is never changed; its selector is made up for it.
  return {metadata: wished};
}

function flat(value: unknown, path = ''): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return {[path]: value};
  const entries = Object.entries(value).filter(([key]) => !OWN_KEYS.test(key));
  if (entries.length === 0) return {[path]: Array.isArray(value) ? '[]' : '{}'};
  return Object.assign({}, ...entries.map(([key, item]) => flat(item, path === '' ? key : `${path}.${key}`))) as Record<
    string,
    unknown
  >;
}
