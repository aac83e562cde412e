import {type Resources} from '../../api/v1alpha1/quantity.ts';
import {type RegionContext} from '../context.ts';
import {CONFIG_HASH, labelsOf, type PodComponent, selectorOf} from '../labels.ts';
import {extraMounts, extraVolumes, templateOf, userOf} from './pod-tier.ts';
import {userEntry} from './user-entry.ts';

/** What a pod of a region has of its own; everything that all pods share is added by {@link podTemplate}. */
export interface PodShape {
  readonly component: PodComponent;
  readonly shardId?: number;
  readonly image: string;
  readonly command: readonly string[];
  readonly env?: readonly object[];
  readonly ports?: readonly {readonly name: string; readonly containerPort: number}[];
  readonly resources: Resources;
  readonly probes?: {readonly startupProbe?: object; readonly livenessProbe?: object; readonly readinessProbe?: object};
  readonly preStop?: object;
  /** Seconds between SIGTERM and SIGKILL. */
  readonly gracePeriodSeconds: number;
  /** User and group of the image, as which the process runs unless the spec says otherwise; volumes belong to the group. */
  readonly userId: number;
  /** For programs that look up what their user is called: whether the image has a name for `userId`. Absent: they do not look it up. */
  readonly hasUserName?: boolean;
  readonly volumes: readonly PodVolume[];
  /** Hash of what the pod reads when it starts: another hash, new pods. */
  readonly configHash?: string;
  /** Notes of the operator. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** Only who speaks to the API server gets a token. Absent: none. */
  readonly serviceAccountName?: string;
  readonly restartPolicy?: 'Always' | 'Never' | 'OnFailure';
}

/** A volume and where it appears. `source` absent: it comes from a claim template. */
export interface PodVolume {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
  readonly source?: object;
}

export const emptyDir = (name: string, mountPath: string, options: object = {}): PodVolume => ({
  name,
  mountPath,
  source: {emptyDir: options},
});

export const configMapVolume = (name: string, mountPath: string, configMap: string): PodVolume => ({
  name,
  mountPath,
  readOnly: true,
  source: {configMap: {name: configMap}},
});

/** The part of a spec that a pod's template is made from: what all templates take, and what this one takes besides. */
export const templateSpec = ({spec}: RegionContext, own: object): object => {
  const {registry, pullPolicy, pullSecrets} = spec.images;
  return {registry, pullPolicy, pullSecrets, scheduling: spec.scheduling, userIds: spec.common.userIds, ...own};
};

/** The server leaves out what is empty. Said all the same, it would look as if somebody had removed it. */
const withoutBlank = (item: object): object =>
  Object.fromEntries(Object.entries(item).filter(([, value]) => value !== ''));

/** Passes the `restricted` Pod Security Standard. */
export const podTemplate = (context: RegionContext, shape: PodShape): object => {
  const {spec, name} = context;
  const {scheduling, images, common} = spec;
  const own = templateOf(context, shape.component);
  const user = userOf(context, own, shape.userId);
  const container = {
    image: shape.image,
    imagePullPolicy: images.pullPolicy,
    resources: shape.resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: {drop: ['ALL']},
    },
  };
  const isNameless = shape.hasUserName !== undefined && !(shape.hasUserName && user.isOfImage);
  const entry = isNameless ? userEntry(container) : undefined;
  const nodeSelector = {...scheduling.nodeSelector, ...own.nodeSelector};
  const tolerations = [...scheduling.tolerations, ...(own.tolerations ?? [])].map(withoutBlank);
  const priorityClassName = own.priorityClassName ?? scheduling.priorityClassName;
  const env = [...(shape.env ?? []), ...(own.env ?? []).map(withoutBlank)];
  const annotations = {
    ...common.annotations,
    ...own.annotations,
    ...shape.annotations,
    ...(shape.configHash === undefined ? {} : {[CONFIG_HASH]: shape.configHash}),
  };
  return {
    // Keys of the operator's labels are reserved.
    metadata: {labels: {...labelsOf(context, shape.component, shape.shardId), ...own.labels}, annotations},
    spec: {
      automountServiceAccountToken: shape.serviceAccountName !== undefined,
      ...(shape.serviceAccountName === undefined ? {} : {serviceAccountName: shape.serviceAccountName}),
      enableServiceLinks: false,
      ...(shape.restartPolicy === undefined ? {} : {restartPolicy: shape.restartPolicy}),
      terminationGracePeriodSeconds: shape.gracePeriodSeconds,
      securityContext: {
        runAsNonRoot: true,
        ...user.ids,
        // A full chown of a large volume at every start takes minutes.
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: {type: 'RuntimeDefault'},
      },
      ...(images.pullSecrets.length === 0 ? {} : {imagePullSecrets: images.pullSecrets}),
      ...(Object.keys(nodeSelector).length === 0 ? {} : {nodeSelector}),
      ...(tolerations.length === 0 ? {} : {tolerations}),
      ...(priorityClassName === undefined ? {} : {priorityClassName}),
      topologySpreadConstraints: ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'].map((topologyKey) => ({
        maxSkew: 1,
        topologyKey,
        whenUnsatisfiable: 'ScheduleAnyway',
        // Of all shards together: each alone has only one pod to spread.
        labelSelector: {matchLabels: selectorOf(name, shape.component)},
      })),
      ...(entry === undefined ? {} : {initContainers: entry.initContainers}),
      containers: [
        {
          name: shape.component,
          image: container.image,
          imagePullPolicy: container.imagePullPolicy,
          command: shape.command,
          ...(env.length === 0 ? {} : {env}),
          ...(shape.ports === undefined ? {} : {ports: shape.ports}),
          resources: container.resources,
          ...shape.probes,
          ...(shape.preStop === undefined ? {} : {lifecycle: {preStop: shape.preStop}}),
          securityContext: container.securityContext,
          volumeMounts: [
            ...shape.volumes.map(({name: volume, mountPath, readOnly}) => ({
              name: volume,
              mountPath,
              ...(readOnly === true ? {readOnly} : {}),
            })),
            ...(entry?.mounts ?? []),
            ...extraMounts(own),
          ],
        },
      ],
      volumes: [
        ...shape.volumes.flatMap(({name: volume, source}) => (source === undefined ? [] : [{name: volume, ...source}])),
        ...(entry?.volumes ?? []),
        ...extraVolumes(own),
      ],
    },
  };
};
