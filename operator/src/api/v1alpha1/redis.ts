import {z} from 'zod';
import {podTemplate} from './pod-template.ts';
import {byteSize, resources} from './quantity.ts';

export const redis = z
  .object({
    engine: z.enum(['Embedded']).default('Embedded').describe('Who runs the cache. Embedded: a Deployment of one pod.'),
    maxMemory: byteSize
      .optional()
      .describe(
        'Memory for cached data; what was used least recently goes first. Keep it below three quarters of the memory limit. Default: what `capacity.devices` needs, 128Mi for each 220,000 devices, doubled and doubled again, but no more than those three quarters.',
      ),
    resources: resources('the cache', {requests: {cpu: '50m', memory: '64Mi'}, limits: {memory: '256Mi'}}),
    podTemplate: podTemplate('the cache'),
  })
  .prefault({})
  .describe('The cache. Everything in it can be rebuilt from the shards.');
