import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {AppError} from '@pisync/core/errors/app-error';
import {Agent, type Dispatcher, request} from 'undici';

/** Writes one key of the ConfigMap, unless it was the last to be written there by this process and the same. */
export type PublishFact = (key: string, text: string) => Promise<void>;

export interface FactsPublisherOptions {
  /** Address of the API server, `https://host:port`. */
  readonly apiServer: string;
  /** Folder with `token` and `ca.crt`, as Kubernetes mounts it into every pod. */
  readonly serviceAccountDir: string;
  readonly namespace: string;
  readonly configMap: string;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Owner of a key in server-side apply: one for each, because what an owner leaves out of an apply is taken away. */
const fieldManager = (key: string): string => `pisync-keeper-${key.replace(/\.json$/, '')}`;
const TIMEOUT_MS = 10_000;
/** What was written need not be there any more: somebody deleted it, or another keeper acted meanwhile. To write the same changes nothing. */
const REPEAT_MS = 60_000;

/**
 * Applies the ConfigMap with server-side apply (https://kubernetes.io/docs/reference/using-api/server-side-apply/), so that
 * whatever else is in it stays its owner's.
 */
export const createFactsPublisher = async (
  options: FactsPublisherOptions,
): Promise<{readonly publish: PublishFact; close(): Promise<void>}> => {
  const {apiServer, serviceAccountDir, namespace, configMap, now} = options;
  const secure = apiServer.startsWith('https:');
  const ca = secure ? await readFile(join(serviceAccountDir, 'ca.crt'), 'utf8') : undefined;
  const agent = new Agent({
    // A write that is given up before its body was sent makes node's HTTP/2 frame nothing for ever, until the memory is used up.
    allowH2: false,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    connect: {timeout: TIMEOUT_MS, ...(ca === undefined ? {} : {ca})},
  });
  const url = `${apiServer}/api/v1/namespaces/${namespace}/configmaps/${configMap}?force=true&fieldManager=`;
  const published = new Map<string, {readonly text: string; readonly atMs: number}>();

  const publish: PublishFact = async (key, text) => {
    const last = published.get(key);
    if (text === last?.text && now() - last.atMs < REPEAT_MS) return;
    // Read each time: the kubelet replaces the token before it expires.
    const token = (await readFile(join(serviceAccountDir, 'token'), 'utf8')).trim();
    const body = JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {name: configMap, namespace},
      data: {[key]: text},
    });
    const answer = await send(agent, `${url}${fieldManager(key)}`, token, body);
    if (answer.statusCode >= 300) {
      const reason = (await answer.body.text()).slice(0, 500);
      throw new AppError(
        'unavailable',
        `the API server answered ${answer.statusCode} to the apply of ConfigMap ${namespace}/${configMap}: ${reason}`,
      );
    }
    await answer.body.dump();
    published.set(key, {text, atMs: now()});
  };
  return {publish, close: () => agent.close()};
};

const send = (dispatcher: Dispatcher, url: string, token: string, body: string): Promise<Dispatcher.ResponseData> =>
  request(url, {
    dispatcher,
    method: 'PATCH',
    headers: {
      authorization: `Bearer ${token}`,
      // JSON is YAML.
      'content-type': 'application/apply-patch+yaml',
      accept: 'application/json',
    },
    body,
  });
