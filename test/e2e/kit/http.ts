import {request} from 'undici';
import {clusterFile} from './files.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** One request through the cluster's ingress, as a client that knows the host name would send it. */
export async function throughIngress(
  host: string,
  path: string,
  options: {
    readonly method?: 'GET' | 'POST' | 'DELETE';
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string | Buffer;
  } = {},
): Promise<Answer> {
  const answer = await request(new URL(path, clusterFile().ingress.http), {
    method: options.method ?? 'GET',
    headers: {host, ...(options.body === undefined ? {} : {'content-type': 'application/json'}), ...options.headers},
    ...(options.body === undefined ? {} : {body: options.body}),
    headersTimeout: 30_000,
    bodyTimeout: 30_000,
  });
  return {status: answer.statusCode, headers: answer.headers, text: await answer.body.text()};
}
