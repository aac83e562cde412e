import {expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {controlPlaneComponents, nodeComponents} from './components.ts';
import {configFiles, kubeconfig} from './configs.ts';
import {folders, nodesOf} from './layout.ts';

const nodes = nodesOf(3);
const programs = {
  binDir: '/bin',
  envoy: '/bin/envoy',
  helperImage: 'localhost/helper:1',
  growingVolumes: '/growing-volumes',
};

test('every configuration file that a component is given is written', () => {
  const written = new Set([
    ...Object.keys(configFiles(nodes, programs.helperImage)),
    ...['admin', 'controller-manager', 'scheduler', ...nodes.map(({name}) => name)].map((name) => `${name}.conf`),
    'envoy.json',
  ]);
  const given = [...controlPlaneComponents(programs), ...nodes.flatMap((node) => nodeComponents(node, programs))]
    .flatMap(({argv}) => argv)
    .map((argument) => argument.slice(argument.indexOf(`${folders.conf}/`)))
    .filter((argument) => argument.startsWith(`${folders.conf}/`))
    .map((argument) => argument.slice(folders.conf.length + 1));
  expect(given.filter((name) => !written.has(name))).toEqual([]);
  expect(given.length).toBeGreaterThan(10);
});

test('a kubeconfig carries the three PEM files', () => {
  const pem = (text: string): Buffer => Buffer.from(text);
  const config: unknown = parse(kubeconfig({ca: pem('ca'), certificate: pem('crt'), key: pem('key')}));
  expect(config).toMatchObject({
    clusters: [{cluster: {'certificate-authority-data': pem('ca').toString('base64')}}],
    users: [
      {
        user: {
          'client-certificate-data': pem('crt').toString('base64'),
          'client-key-data': pem('key').toString('base64'),
        },
      },
    ],
  });
});
