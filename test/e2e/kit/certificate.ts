import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {type Region} from './region.ts';
import {runOk} from './run.ts';

/** Writes a Secret with a certificate for these hosts that its own key signed. */
export async function certificateSecret(region: Region, name: string, hosts: readonly string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pisync-certificate-'));
  try {
    const files = {key: join(folder, 'key'), certificate: join(folder, 'certificate')};
    await runOk([
      'openssl',
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=walked',
      '-addext',
      `subjectAltName=${hosts.map((host) => `DNS:${host}`).join()}`,
      '-keyout',
      files.key,
      '-out',
      files.certificate,
    ]);
    await region.kubectl.apply(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'kubernetes.io/tls',
        metadata: {name},
        stringData: {'tls.crt': readFileSync(files.certificate, 'utf8'), 'tls.key': readFileSync(files.key, 'utf8')},
      }),
    );
  } finally {
    rmSync(folder, {recursive: true});
  }
}
