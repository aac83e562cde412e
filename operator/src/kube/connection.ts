import {readFile} from 'node:fs/promises';
import {type RequestOptions} from 'node:https';
import {isIPv6} from 'node:net';
import {join} from 'node:path';

/** Everything a request needs besides its path: where, with which certificates, as whom. */
export interface Credentials {
  readonly server: string;
  readonly tls: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly servername?: string;
    readonly rejectUnauthorized?: boolean;
  };
  /** Authorization and Impersonate-*. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Reads credentials anew: tokens of pods live for an hour and are replaced in place, certificate authorities rotate. */
export type CredentialSource = () => Promise<Credentials>;

/** Where Kubernetes mounts a pod's identity. */
const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * The identity of the pod that this process runs in. Read by hand: client-node's config module loads every typed model of
 * Kubernetes with it, 50 MB of memory for two files.
 */
export const podCredentials =
  (host: string, port: string, directory = SERVICE_ACCOUNT_DIR): CredentialSource =>
  async () => {
    const [token, ca] = await Promise.all([
      readFile(join(directory, 'token'), 'utf8'),
      readFile(join(directory, 'ca.crt'), 'utf8'),
    ]);
    return {
      server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
      tls: {ca},
      headers: {authorization: `Bearer ${token.trim()}`},
    };
  };

/** The current context of a kubeconfig file, with everything client-node understands (exec plugins, OIDC, certificates). */
export const kubeconfigCredentials =
  (path: string): CredentialSource =>
  async () => {
    const {KubeConfig} = await import('@kubernetes/client-node/dist/config.js');
    const config = new KubeConfig();
    config.loadFromFile(path);
    const server = config.getCurrentCluster()?.server;
    if (server === undefined) {
      throw new Error(`${path} names no cluster in its current context: set one with kubectl config use-context`);
    }
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const {rejectUnauthorized, servername} = options;
    const material = {ca: text(options.ca), cert: text(options.cert), key: text(options.key), servername};
    return {
      server: server.replace(/\/+$/, ''),
      tls: {
        ...Object.fromEntries(Object.entries(material).filter(([, value]) => value !== undefined)),
        ...(rejectUnauthorized === undefined ? {} : {rejectUnauthorized}),
      },
      headers: {...headersOf(options), ...basicAuth(options.auth)},
    };
  };

const text = (material: RequestOptions['ca'] | RequestOptions['key']): string | undefined =>
  typeof material === 'string' || Buffer.isBuffer(material) ? material.toString() : undefined;

const headersOf = (options: RequestOptions): Record<string, string> =>
  Object.fromEntries(
    Object.entries(options.headers ?? {}).flatMap(([name, value]) =>
      value === undefined ? [] : [[name.toLowerCase(), String(value)]],
    ),
  );

const basicAuth = (auth: string | null | undefined): Record<string, string> =>
  auth ? {authorization: `Basic ${Buffer.from(auth).toString('base64')}`} : {};
