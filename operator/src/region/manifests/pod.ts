import {type Resources} from '../../api/v1alpha1/quantity.ts';
import {type RegionContext} from '../context.ts';
import {type Component, CONFIG_HASH, labelsOf, selectorOf} from '../labels.ts';

/** What a pod of a region has of its own; everything that all pods share is added by {@link podTemplate}. */
export interface PodShape {
  readonly component: Component;
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
  /** User and group that the process runs as; volumes belong to the group. */
  readonly userId: number;
  readonly volumes: readonly PodVolume[];
  /** Hash of what the pod reads when it starts: another hash, new pods. */
  readonly configHash?: string;
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

/** Passes the `restricted` Pod Security Standard. */
export const podTemplate = (context: RegionContext, shape: PodShape): object => {
  const {spec, name} = context;
  const {scheduling, images, common} = spec;
  const annotations = {
    ...common.annotations,
    ...(shape.configHash === undefined ? {} : {[CONFIG_HASH]: shape.configHash}),
  };
  return {
    metadata: {labels: labelsOf(context, shape.component, shape.shardId), annotations},
    spec: {
      automountServiceAccountToken: shape.serviceAccountName !== undefined,
      ...(shape.serviceAccountName === undefined ? {} : {serviceAccountName: shape.serviceAccountName}),
      enableServiceLinks: false,
      ...(shape.restartPolicy === undefined ? {} : {restartPolicy: shape.restartPolicy}),
      terminationGracePeriodSeconds: shape.gracePeriodSeconds,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: shape.userId,
        runAsGroup: shape.userId,
        fsGroup: shape.userId,
        // A full chown of a large volume at every start takes minutes.
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: {type: 'RuntimeDefault'},
      },
      ...(images.pullSecrets.length === 0 ? {} : {imagePullSecrets: images.pullSecrets}),
      ...(Object.keys(scheduling.nodeSelector).length === 0 ? {} : {nodeSelector: scheduling.nodeSelector}),
      ...(scheduling.tolerations.length === 0 ? {} : {tolerations: scheduling.tolerations}),
      ...(scheduling.priorityClassName === undefined ? {} : {priorityClassName: scheduling.priorityClassName}),
      topologySpreadConstraints: ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'].map((topologyKey) => ({
        maxSkew: 1,
        topologyKey,
        whenUnsatisfiable: 'ScheduleAnyway',
        // Of all shards together: each alone has only one pod to spread.
        labelSelector: {matchLabels: selectorOf(name, shape.component)},
      })),
      containers: [
        {
          name: shape.component,
          image: shape.image,
          imagePullPolicy: images.pullPolicy,
          command: shape.command,
          ...(shape.env === undefined ? {} : {env: shape.env}),
          ...(shape.ports === undefined ? {} : {ports: shape.ports}),
          resources: shape.resources,
          ...shape.probes,
          ...(shape.preStop === undefined ? {} : {lifecycle: {preStop: shape.preStop}}),
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: {drop: ['ALL']},
          },
          volumeMounts: shape.volumes.map(({name: volume, mountPath, readOnly}) => ({
            name: volume,
            mountPath,
            ...(readOnly === true ? {readOnly} : {}),
          })),
        },
      ],
      volumes: shape.volumes.flatMap(({name: volume, source}) =>
        source === undefined ? [] : [{name: volume, ...source}],
      ),
    },
  };
};
