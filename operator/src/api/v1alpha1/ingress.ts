import {z} from 'zod';
import {dnsLabel, dnsName} from './object-name.ts';

export const ingress = z
  .object({
    enabled: z.boolean().default(true).describe('Whether the hosts below are routed to the region.'),
    host: dnsName.optional().describe('Host name that devices use. Without it device-api gets no route.'),
    adminHost: dnsName.optional().describe('Host name that people use. Without it admin-api gets no route.'),
    className: dnsName
      .optional()
      .describe(
        "Ingress class. Default: the cluster's default class. With another class the Ingress is deleted and made again, because a controller leaves its address on one that it serves no more. Not together with `gatewayRef`.",
      ),
    gatewayRef: z
      .object({
        name: dnsName.describe('Name of the Gateway.'),
        namespace: dnsLabel.optional().describe("Its namespace. Default: the region's."),
        sectionName: dnsName.optional().describe('The listener to attach to. Default: all that fit.'),
      })
      .optional()
      .describe('A Gateway (gateway.networking.k8s.io) that routes the hosts, with HTTPRoutes instead of Ingresses.'),
    annotations: z
      .record(z.string().max(317), z.string().max(4096))
      .default({})
      .meta({maxProperties: 64})
      .describe(
        'Annotations for the Ingresses or HTTPRoutes. Of the keys below `kubernetes.io` only those are taken that configure an ingress controller.',
      ),
    tls: z
      .object({
        mode: z
          .enum(['None', 'Secret'])
          .default('None')
          .describe('None: the route is plain HTTP (or the Gateway ends TLS). Secret: a certificate from a Secret.'),
        secretName: dnsName
          .optional()
          .describe('Secret of type kubernetes.io/tls with a certificate for both hosts. Required in mode Secret.'),
      })
      .prefault({})
      .describe('TLS at the Ingress.'),
  })
  .prefault({})
  .describe('How traffic comes in from outside the cluster.');
