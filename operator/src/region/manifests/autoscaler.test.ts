import {expect, test} from '@jest/globals';
import {SimulatedRegion} from '../testing/simulated-region.ts';

test.each([
  [
    '600m a pod, whatever it requests',
    {resources: {requests: {cpu: '2'}}},
    {type: 'AverageValue', averageValue: '600m'},
  ],
  [
    'less where a limit lets no pod use a core',
    {resources: {limits: {cpu: '250m'}}},
    {type: 'AverageValue', averageValue: '150m'},
  ],
  [
    'no more where a limit is above what a process uses',
    {resources: {limits: {cpu: 4}}},
    {type: 'AverageValue', averageValue: '600m'},
  ],
  ['what the spec says', {autoscaling: {targetCPU: 75}}, {type: 'Utilization', averageUtilization: 75}],
])('an autoscaler aims at %s', (_what, workers, target) => {
  const region = new SimulatedRegion({region: 'eu-west', workers}).bringUp();
  expect(region.find('HorizontalPodAutoscaler', 'eu-worker')?.['spec']).toMatchObject({
    metrics: [{containerResource: {container: 'worker', name: 'cpu', target}}],
  });
});
