import {expect, test} from '@jest/globals';
import {readSettings} from './settings.ts';

test('has three nodes and a port for the browser without being told', () => {
  expect(readSettings({}, '/c')).toMatchObject({nodes: 3, ingressPort: 8088, out: '/c/out', kind: undefined});
});

test('names every bad variable at once', () => {
  expect(() => readSettings({PISYNC_NODES: '0', PISYNC_INGRESS_PORT: 'x', PISYNC_CLUSTER: 'minikube'}, '/c')).toThrow(
    /PISYNC_CLUSTER.*"minikube"\nPISYNC_NODES.*"0"\nPISYNC_INGRESS_PORT.*"x"/,
  );
});
