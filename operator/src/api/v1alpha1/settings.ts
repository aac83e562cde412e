import {z} from 'zod';
import {dnsName} from './object-name.ts';
import {annotations, labels, tolerations} from './pod-template.ts';

/** The sections that are only a few values each. */
export const capacity = z
  .object({
    devices: z
      .int()
      .min(1)
      .max(10_000_000)
      .default(50_000)
      .describe(
        'Devices that the region is meant for. The cache and the log of the shards are sized by it, and restart where another number asks for another size. An enrolment token lets so many new devices in a day (at least 1000); nothing else is limited by it.',
      ),
    syncWindow: z
      .object({
        start: z
          .string()
          .max(5)
          .regex(/^([01][0-9]|2[0-3]):[0-5][0-9]$/)
          .default('00:00')
          .describe('Begin of the window, `HH:MM` in UTC.'),
        durationMinutes: z.int().min(1).max(1440).default(1440).describe('Length of the window in minutes.'),
      })
      .prefault({})
      .describe('The part of the day in which devices are told to sync. Default: the whole day.'),
  })
  .prefault({})
  .describe('What the region is sized for.');

export const retention = z
  .object({
    recordDays: z
      .int()
      .min(1)
      .max(3650)
      .default(90)
      .describe(
        'Days that records are kept at least. Partitions for days before that are not made any more; a batch that comes so late is kept as one of the day on which it is applied.',
      ),
    receiptDays: z
      .int()
      .min(7)
      .max(3650)
      .default(180)
      .describe(
        'Days that receipts are kept at least. A batch that comes again later than that cannot be compared any more and is put into quarantine. Nothing is deleted yet.',
      ),
    quarantineDays: z
      .int()
      .min(1)
      .max(3650)
      .default(30)
      .describe(
        'Days that what is in quarantine is kept at least. Decides nothing yet, because nothing of it is deleted.',
      ),
  })
  .prefault({})
  .describe('How long data is kept at least. This version deletes nothing by itself.');

export const monitoring = z
  .object({
    tracing: z
      .object({
        endpoint: z
          .string()
          .max(512)
          .regex(
            /^https?:\/\/[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(\/([-A-Za-z0-9._~\/]|%[0-9A-Fa-f]{2})*)?$/,
          )
          .optional()
          .describe('OTLP/HTTP endpoint, e.g. `http://otel-collector.observability:4318`. Tracing is off without it.'),
        sampleRatio: z.number().min(0).max(1).default(0.01).describe('Share of requests that are traced, 0 to 1.'),
      })
      .prefault({})
      .describe('Where traces go.'),
  })
  .prefault({})
  .describe(
    'What the region tells about itself. The pods of its services always serve metrics, on port 9090; those of databases, broker and cache serve none.',
  );

export const networkPolicy = z
  .object({
    enabled: z.boolean().default(true).describe('Whether every tier admits only those who need it.'),
  })
  .prefault({})
  .describe('NetworkPolicies. They act only where the network plugin enforces them.');

export const scheduling = z
  .object({
    nodeSelector: labels().default({}).describe('Labels that nodes must have.'),
    tolerations: tolerations().default([]).describe('Taints that pods tolerate.'),
    priorityClassName: dnsName.optional().describe('PriorityClass of all pods.'),
  })
  .prefault({})
  .describe('Where pods run. They are spread over zones and nodes as far as that is possible.');

export const common = z
  .object({
    labels: labels()
      .default({})
      .describe(
        'Labels for every child but volume claims. Pods of databases, broker and cache are not restarted for them: they get them with the next change that restarts them. Keys of `kubernetes.io`, `k8s.io`, `pisync.io`, `helm.sh`, `argoproj.io` and `fluxcd.io` are reserved.',
      ),
    annotations: annotations()
      .default({})
      .describe(
        'Annotations for every child but volume claims. Pods of databases, broker and cache get them as they get labels. Reserved are the same keys, but for those of `cluster-autoscaler.kubernetes.io`.',
      ),
    userIds: z
      .enum(['Fixed', 'Platform'])
      .default('Fixed')
      .describe(
        'Who says which user the pods run as. Fixed: the users of the images that the operator brings, or those of `podTemplate.securityContext`. Platform: no user and group is set but those of `podTemplate.securityContext`, because the platform assigns them and refuses others (OpenShift). A change restarts every pod. What is on a volume belongs to the user that wrote it, so choose before there is data.',
      ),
  })
  .prefault({})
  .describe('What all children have in common.');

const image = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[a-z0-9][a-zA-Z0-9._\-/:@]*$/);

export const images = z
  .object({
    registry: z
      .string()
      .min(1)
      .max(255)
      .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?(\/[a-z0-9]([-_a-z0-9.]*[a-z0-9])?)*$/)
      .optional()
      .describe(
        'Registry that all images but those named below come from, instead of the one in their names, e.g. `mirror.example.com/proxy`: `docker.io/library/postgres:17` is then pulled as `mirror.example.com/proxy/library/postgres:17`.',
      ),
    pullPolicy: z.enum(['IfNotPresent', 'Always', 'Never']).default('IfNotPresent').describe('When nodes pull images.'),
    pullSecrets: z
      .array(z.object({name: dnsName.describe('Name of a Secret of type dockerconfigjson.')}))
      .max(8)
      .default([])
      .meta({'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name']})
      .describe("Secrets in the region's namespace that pulling needs."),
    service: image
      .optional()
      .describe(
        "Image of PiSync's services, instead of the operator's default and of the tag in `version`. The version that the status and labels tell is its tag then, or the beginning of its digest.",
      ),
    postgres: image
      .optional()
      .describe(
        "Image of PostgreSQL 15 or later with its extension `pg_trgm`, as official images are, instead of the operator's default. Data is never upgraded: where there is some, the image must be of the major version that made it, or the shard does not start.",
      ),
    rabbitmq: image.optional().describe("Image of RabbitMQ 3.10 or later, instead of the operator's default."),
    redis: image.optional().describe("Image of Redis 7 or later, instead of the operator's default."),
  })
  .prefault({})
  .describe('Container images. A tag or a digest each; the operator brings defaults that fit together.');
