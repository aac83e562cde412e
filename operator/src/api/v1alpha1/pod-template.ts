import {z} from 'zod';
import {dnsName} from './object-name.ts';
import {byteSize} from './quantity.ts';

/** What people may add to pods. There is no field for what would weaken them: host namespaces, host paths, privileges, root, service accounts, other containers. */

/** Labels, annotations, selectors. Syntax and reserved keys are in key-rules.ts. */
export const labels = () => z.record(z.string().max(317), z.string().max(63)).meta({maxProperties: 32});
export const annotations = () => z.record(z.string().max(317), z.string().max(4096)).meta({maxProperties: 32});

export const tolerations = () =>
  z
    .array(
      z.object({
        key: z.string().max(317).optional().describe('Key of the taint. Empty: all keys.'),
        operator: z.enum(['Exists', 'Equal']).default('Equal').describe('How the value is compared.'),
        value: z.string().max(63).optional().describe('Value of the taint.'),
        effect: z
          .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
          .optional()
          .describe('Effect of the taint. Absent: all effects.'),
        tolerationSeconds: z
          .int()
          .min(0)
          .max(86_400)
          .optional()
          .describe('Seconds that a pod stays on a node with a NoExecute taint. Absent: for ever.'),
      }),
    )
    .max(32)
    .meta({'x-kubernetes-list-type': 'atomic'});

const keyOf = (kind: string) =>
  z
    .object({
      name: dnsName.describe(`Name of the ${kind}, in the region's namespace.`),
      key: z.string().min(1).max(253).describe(`Key in the ${kind}.`),
    })
    .optional()
    .describe(`The value is read from a ${kind} when the container starts.`);

const env = z
  .array(
    z.object({
      name: z
        .string()
        .max(128)
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
        .describe('Name of the variable.'),
      value: z.string().max(4096).optional().describe('Its value. Not together with `valueFrom`.'),
      valueFrom: z
        .object({secretKeyRef: keyOf('Secret'), configMapKeyRef: keyOf('ConfigMap')})
        .optional()
        .describe('Where its value is; one of the two.'),
    }),
  )
  .max(32)
  .meta({'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name']})
  .describe('Variables for the container, besides those that the operator sets.');

const volumes = z
  .array(
    z.object({
      name: z
        .string()
        .max(50)
        .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
        .describe('Name of the volume.'),
      mountPath: z
        .string()
        .max(253)
        .regex(/^\/(mnt|srv|etc\/ssl|etc\/pki)(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/)
        .describe('Folder in the container, below `/mnt`, `/srv`, `/etc/ssl` or `/etc/pki`.'),
      configMap: z
        .object({name: dnsName.describe('Name of the ConfigMap.')})
        .optional()
        .describe('A file for each key of a ConfigMap. Read-only.'),
      secret: z
        .object({secretName: dnsName.describe('Name of the Secret.')})
        .optional()
        .describe('A file for each key of a Secret. Read-only.'),
      emptyDir: z
        .object({sizeLimit: byteSize.optional().describe('Most that may be in it.')})
        .optional()
        .describe('An empty folder that goes away with the pod.'),
    }),
  )
  .max(8)
  .meta({'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name']})
  .describe(
    'Folders for the container, e.g. certificates of an authority of your own. Each has one of the three sources.',
  );

/** As in a pod: `2 ** 31 - 1` is the highest id of a user or group. */
const id = (lowest: number) => z.int().min(lowest).max(2_147_483_647);

const securityContext = z
  .object({
    runAsUser: id(1).optional().describe('Id of the user that the process runs as. Not root.'),
    runAsGroup: id(0).optional().describe('Id of its group. Default: `runAsUser`.'),
    fsGroup: id(0).optional().describe('Id of the group that volumes belong to. Default: `runAsUser`.'),
  })
  .optional()
  .describe(
    'Who the process runs as, instead of the user of the image that the operator brings. What is on a volume belongs to the user that wrote it: a data tier that has data does not start as another one.',
  );

export const podTemplate = (tier: string) =>
  z
    .object({
      labels: labels()
        .optional()
        .describe(
          'Labels for the pods, also in place of those of `common`. The keys that `common.labels` may not have are reserved.',
        ),
      annotations: annotations()
        .optional()
        .describe(
          'Annotations for the pods, also in place of those of `common`. The keys that `common.annotations` may not have are reserved.',
        ),
      nodeSelector: labels().optional().describe('Labels that nodes must have, besides those of `scheduling`.'),
      tolerations: tolerations().optional().describe('Taints that the pods tolerate, besides those of `scheduling`.'),
      priorityClassName: dnsName.optional().describe('PriorityClass of the pods, instead of that of `scheduling`.'),
      env: env.optional(),
      volumes: volumes.optional(),
      securityContext,
    })
    .optional()
    .describe(
      `What the pods of ${tier} have besides what the operator gives them. A change restarts them; labels and annotations alone do not restart shards, broker and cache, whose pods get them when they restart the next time.`,
    );

export type PodTemplate = NonNullable<z.output<ReturnType<typeof podTemplate>>>;
