import {expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {readSettings} from '../settings.ts';
import {kindConfig} from './config.ts';

test("the browser's ports lead to the first worker, and every worker is a node", () => {
  const settings = readSettings({PISYNC_NODES: '2', PISYNC_INGRESS_PORT: '9000'}, '/checkout');
  expect(parse(kindConfig(settings, {auditPolicy: '/policy', auditLogs: '/logs'}))).toMatchObject({
    nodes: [
      {role: 'control-plane'},
      {role: 'worker', extraPortMappings: [{containerPort: 80, hostPort: 9000}, {containerPort: 443}]},
      {role: 'worker'},
    ],
  });
});
