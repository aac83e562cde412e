import {expect, test} from '@jest/globals';
import {judge, type State} from './state.ts';

const cp = {pid: 10, startTicks: 1};
const n1 = {pid: 11, startTicks: 2};
const state: State = {
  version: 1,
  owner: '/checkout/a',
  bootId: 'boot-1',
  phase: 'up',
  nodes: 1,
  ingressPort: 8088,
  ingressTlsPort: 8443,
  machines: {cp, n1},
  sysctls: {},
  createdFolders: [],
};
const now = {owner: '/checkout/a', bootId: 'boot-1', isAlive: () => true};

test('without a state there is no cluster', () => {
  expect(judge(undefined, now, 'cp')).toEqual({kind: 'absent'});
});

test('a cluster whose machines all live is up', () => {
  expect(judge(state, now, 'cp')).toEqual({kind: 'up', state});
});

test('a cluster without one of its nodes is partly up', () => {
  expect(judge(state, {...now, isAlive: (ref) => ref === cp}, 'cp')).toEqual({kind: 'partly-up', state, down: ['n1']});
});

test('a cluster from before a reboot is dead, and its settings are not in force any more', () => {
  expect(judge(state, {...now, bootId: 'boot-2'}, 'cp')).toMatchObject({kind: 'dead', sameBoot: false});
});

test('a cluster whose control plane was killed is dead, whoever made it', () => {
  expect(judge(state, {...now, owner: '/checkout/b', isAlive: (ref) => ref !== cp}, 'cp')).toMatchObject({
    kind: 'dead',
    sameBoot: true,
  });
});

test('a start that was interrupted is dead, even with living machines', () => {
  expect(judge({...state, phase: 'starting'}, now, 'cp')).toMatchObject({kind: 'dead', sameBoot: true});
});

test("another checkout's running cluster is foreign", () => {
  expect(judge(state, {...now, owner: '/checkout/b'}, 'cp')).toEqual({kind: 'foreign', state});
});
