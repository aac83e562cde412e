import {execFile} from 'node:child_process';
import {mkdtemp, readFile, rm} from 'node:fs/promises';
import {createServer} from 'node:https';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {promisify} from 'node:util';

/** An admission webhook that says no to whatever it is asked. */
export interface Webhook {
  /** `clientConfig` of its configuration. */
  readonly clientConfig: {readonly url: string; readonly caBundle: string};
  stop(): Promise<void>;
}

/** Denies with this status, as the API server passes it on. */
export const startWebhook = async (status: {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
}): Promise<Webhook> => {
  const {key, cert} = await localhostCertificate();
  const server = createServer({key, cert}, (request, response) => {
    void text(request).then((body) => {
      // Only the API server asks, and always with a request.
      const {uid} = (JSON.parse(body) as {readonly request: {readonly uid: string}}).request;
      response.setHeader('content-type', 'application/json');
      const review = {apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview'};
      response.end(JSON.stringify({...review, response: {uid, allowed: false, status}}));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the webhook has no port');
  return {
    clientConfig: {url: `https://localhost:${address.port}/`, caBundle: Buffer.from(cert).toString('base64')},
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

const localhostCertificate = async (): Promise<{readonly key: string; readonly cert: string}> => {
  const dir = await mkdtemp(join(tmpdir(), 'pisync-webhook-'));
  const [key, cert] = [join(dir, 'key'), join(dir, 'cert')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  try {
    await promisify(execFile)('openssl', [
      ...['req', '-x509', ...curve, '-nodes', '-days', '2', ...name],
      ...['-keyout', key, '-out', cert],
    ]);
    return {key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8')};
  } finally {
    await rm(dir, {recursive: true});
  }
};
