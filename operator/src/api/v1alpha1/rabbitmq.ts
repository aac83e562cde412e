import {MAX_PARTITIONS} from '@pisync/contract/limits';
import {z} from 'zod';
import {podTemplate} from './pod-template.ts';
import {resources} from './quantity.ts';
import {storage} from './storage.ts';

export const rabbitmq = z
  .object({
    engine: z.enum(['Embedded']).default('Embedded').describe('Who runs the broker. Embedded: a StatefulSet.'),
    replicas: z.int().min(1).max(1).default(1).describe('Broker nodes. One, with its queues on a persistent volume.'),
    partitions: z
      .int()
      .min(1)
      .max(MAX_PARTITIONS)
      .default(8)
      .describe('Queues that batches are spread over by device, each with two priorities. It cannot be changed later.'),
    storage: storage('every broker node', '5Gi'),
    resources: resources('a broker node', {requests: {cpu: '100m', memory: '512Mi'}, limits: {memory: '512Mi'}}),
    podTemplate: podTemplate('the broker'),
  })
  .prefault({})
  .describe('The broker that keeps batches between their acceptance and their shard.');
