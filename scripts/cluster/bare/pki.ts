import {chmodSync, mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {runCommand} from '../../terminal/command.ts';
import type {StepContext} from '../../terminal/steps.ts';
import {network, type Node} from './layout.ts';

/** A certificate to issue. Kubernetes reads the user from CN and its groups from O (docs: "PKI certificates and requirements"). */
interface Certificate {
  readonly name: string;
  readonly subject: string;
  readonly alternativeNames?: readonly string[];
}

/** Valid as long as a development cluster may stay up; every `up` issues new ones. */
const DAYS = '365';

function certificatesFor(nodes: readonly Node[]): readonly Certificate[] {
  const service = `kubernetes.default.svc.${network.domain}`.split('.');
  return [
    {
      name: 'apiserver',
      subject: '/CN=kube-apiserver',
      alternativeNames: [
        ...[1, 2, 3, 5].map((parts) => `DNS:${service.slice(0, parts).join('.')}`),
        'DNS:localhost',
        'IP:127.0.0.1',
        `IP:${network.apiService}`,
        `IP:${network.controlPlane}`,
      ],
    },
    {name: 'admin', subject: '/O=system:masters/CN=admin'},
    {name: 'controller-manager', subject: '/CN=system:kube-controller-manager'},
    {name: 'scheduler', subject: '/CN=system:kube-scheduler'},
    {name: 'proxy', subject: '/CN=system:kube-proxy'},
    {name: 'apiserver-kubelet', subject: '/O=system:masters/CN=kube-apiserver-kubelet-client'},
    {name: 'front-proxy', subject: '/CN=front-proxy-client'},
    {
      name: 'ingress',
      subject: '/CN=pisync-ingress',
      alternativeNames: ['DNS:*.localhost', 'DNS:localhost', 'DNS:*.pisync.test', 'DNS:*.pisync.local'],
    },
    ...nodes.map((node) => ({name: node.name, subject: `/O=system:nodes/CN=system:node:${node.name}`})),
  ];
}

/** Issues one CA and everything that it signs, as `<name>.crt` and `<name>.key`, and the service accounts' key pair. */
export async function createPki(folder: string, nodes: readonly Node[], context: StepContext): Promise<void> {
  mkdirSync(folder, {recursive: true, mode: 0o700});
  chmodSync(folder, 0o700);
  const file = (name: string): string => join(folder, name);
  const request = (name: string): [string, ...string[]] => [
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    DAYS,
    '-keyout',
    file(`${name}.key`),
    '-out',
    file(`${name}.crt`),
  ];
  const serviceAccounts = async (): Promise<void> => {
    await runCommand(['openssl', 'genrsa', '-out', file('sa.key'), '2048'], context);
    await runCommand(['openssl', 'rsa', '-in', file('sa.key'), '-pubout', '-out', file('sa.pub')], context);
  };
  const authority = async (): Promise<void> => {
    await runCommand(
      [...request('ca'), '-subj', '/CN=pisync-local-cluster', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
      context,
    );
    await Promise.all(
      certificatesFor(nodes).map((certificate) =>
        runCommand(
          [
            ...request(certificate.name),
            '-CA',
            file('ca.crt'),
            '-CAkey',
            file('ca.key'),
            '-subj',
            certificate.subject,
            '-addext',
            'basicConstraints=CA:FALSE',
            '-addext',
            'keyUsage=digitalSignature',
            '-addext',
            'extendedKeyUsage=serverAuth,clientAuth',
            ...(certificate.alternativeNames
              ? ['-addext', `subjectAltName=${certificate.alternativeNames.join(',')}`]
              : []),
          ],
          context,
        ),
      ),
    );
  };
  await Promise.all([serviceAccounts(), authority()]);
}
