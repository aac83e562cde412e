import {expect, test} from '@jest/globals';
import {z} from 'zod';
import {quantityBytes, quantityMillis} from '../api/v1alpha1/quantity.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';

const containersSchema = z.object({
  replicas: z.int(),
  template: z.object({
    spec: z.object({
      containers: z.array(z.object({resources: z.object({requests: z.object({cpu: z.string(), memory: z.string()})})})),
    }),
  }),
});

test('requests what two cores have left beside Kubernetes itself, an ingress controller and metrics-server', () => {
  const region = new SimulatedRegion({region: 'eu-west'}).bringUp();
  const requested = [...region.objects.values()].flatMap(({kind, spec}) => {
    const pod = containersSchema.safeParse(spec).data;
    if (pod === undefined || kind === 'Job') return [];
    return pod.template.spec.containers.map(({resources: {requests}}) => ({
      cpuMillis: quantityMillis(requests.cpu) * pod.replicas,
      memoryBytes: quantityBytes(requests.memory) * pod.replicas,
    }));
  });
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  expect(sum(requested.map(({cpuMillis}) => cpuMillis))).toBe(900);
  expect(sum(requested.map(({memoryBytes}) => memoryBytes)) / 2 ** 20).toBe(1984);
});
