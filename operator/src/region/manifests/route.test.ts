import {expect, test} from '@jest/globals';
import {SimulatedRegion} from '../testing/simulated-region.ts';

const ingress = {host: 'eu.sync.example.com'};

test('a route whose class is not named any more keeps it', () => {
  const region = new SimulatedRegion({region: 'eu-west', ingress: {...ingress, className: 'contour'}}).bringUp();
  region.change({ingress});
  region.settle();
  expect(region.find('Ingress', 'eu-device-api')).toMatchObject({spec: {ingressClassName: 'contour'}});
  region.change({ingress: {...ingress, className: 'nginx'}});
  region.settle();
  expect(region.find('Ingress', 'eu-device-api')).toMatchObject({spec: {ingressClassName: 'nginx'}});
});
