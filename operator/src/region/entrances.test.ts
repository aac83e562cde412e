import {expect, test} from '@jest/globals';
import {ledBy} from './entrances.ts';
import {KINDS} from './kinds.ts';

test('whoever gives an Ingress a great many rules keeps nobody busy', () => {
  const rules = Array.from({length: 10_000}, (_, index) => ({host: `h${index}.example.com`}));
  const ingress = {...KINDS.ingress, metadata: {name: 'eu-device-api'}, spec: {ingressClassName: 'nginx', rules}};
  const fromMs = performance.now();
  expect(ledBy(ingress)).toHaveLength(10_000);
  expect(ledBy(ingress)).toContainEqual({host: 'h7.example.com', className: 'nginx'});
  expect(performance.now() - fromMs).toBeLessThan(2_000);
});
