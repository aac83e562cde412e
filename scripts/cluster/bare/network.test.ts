import {expect, test} from '@jest/globals';
import {CONTROL_PLANE, nodesOf} from './layout.ts';
import {networkPlan} from './network.ts';

test('every machine can reach the pods of every other node', () => {
  const nodes = nodesOf(3);
  const plan = networkPlan(nodes);
  const missing = [CONTROL_PLANE, ...nodes.map(({name}) => name)].flatMap((machine) =>
    nodes
      .filter(({name}) => name !== machine)
      .filter((node) => !plan.get(machine)?.includes(`route add ${node.podSubnet} via ${node.address}`))
      .map((node) => `${machine} to ${node.name}`),
  );
  expect(missing).toEqual([]);
});

test('nodes share no address and no pod subnet', () => {
  const all = nodesOf(9).flatMap(({address, podSubnet}) => [address, podSubnet]);
  expect(new Set(all).size).toBe(all.length);
});
