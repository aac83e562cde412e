import {systemClock} from '../clock.ts';
import {type CredentialSource} from '../connection.ts';
import {createEngine, type Engine} from '../engine.ts';
import {type KubeObject} from '../object.ts';
import {startApiServer, type TestApiServer} from './api-server.ts';
import {eventually, forever, identity, randomText, testLog, testMetrics} from './fixtures.ts';
import {installShops, shopController, type ShopEngineOptions, shopPath} from './shop.ts';

interface Started {
  readonly engine: Engine;
  readonly log: ReturnType<typeof testLog>;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
  /** The last status that was told of each shop. */
  readonly told: ReadonlyMap<string, unknown>;
}

export const shelfPath = (name: string): string => `/api/v1/namespaces/default/configmaps/${name}`;

/** Shops on an API server of their own, and engines that look after them. */
export class Shops {
  readonly server: TestApiServer;
  readonly #started: Started[] = [];

  private constructor(server: TestApiServer) {
    this.server = server;
  }

  static async onAServer(): Promise<Shops> {
    const server = await startApiServer();
    await installShops(server.client);
    return new Shops(server);
  }

  start(
    name: string,
    credentials: CredentialSource = this.server.credentials,
    more: Partial<ShopEngineOptions> = {},
  ): Started {
    const log = testLog();
    const told = new Map<string, unknown>();
    const engine = createEngine({
      name: 'shop',
      controller: shopController(),
      identity,
      credentials,
      userAgent: name,
      namespaces: [],
      workers: 2,
      lease: {namespace: 'default', name: 'shop-operator', identity: name},
      clock: systemClock,
      random: Math.random,
      randomText,
      metrics: testMetrics(),
      log,
      onStatus: ({metadata}, status) => told.set(metadata.name, status),
      ...more,
    });
    const stop = new AbortController();
    const started: Started = {engine, log, stop, ended: engine.run(stop.signal), told};
    this.#started.push(started);
    return started;
  }

  async endEngines(): Promise<void> {
    for (const {stop, ended} of this.#started.splice(0)) {
      stop.abort();
      await ended;
    }
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  async send(method: 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<void> {
    await this.server.client.send({
      method,
      path,
      ...(body === undefined ? {} : {body}),
      ...(method === 'PATCH' ? {contentType: 'application/merge-patch+json'} : {}),
      signal: forever,
    });
  }

  async find(path: string): Promise<KubeObject | undefined> {
    try {
      return (await this.server.client.send({method: 'GET', path, signal: forever})).body as KubeObject;
    } catch {
      return undefined;
    }
  }

  open(name: string, shelves: readonly string[], namespace = 'default'): Promise<void> {
    return this.send('POST', shopPath('', namespace), {
      apiVersion: 'example.org/v1',
      kind: 'Shop',
      metadata: {name},
      spec: {shelves},
    });
  }

  statusBecomes(name: string, expected: object, log: Started['log'], namespace = 'default'): Promise<true> {
    let last: unknown;
    return eventually(
      async () => {
        last = (await this.find(shopPath(name, namespace)))?.['status'];
        return JSON.stringify(last) === JSON.stringify(expected) ? true : undefined;
      },
      () => `status of ${name} is ${JSON.stringify(last)}; log:\n${log.lines.slice(-20).join('\n')}`,
    );
  }

  /** What an engine sent to the server since `from`, apart from its lease. */
  async requestsOf(userAgent: string, from: number, verbs: readonly string[]): Promise<readonly string[]> {
    return (await this.server.audit())
      .slice(from)
      .filter(
        (line) => line.userAgent === userAgent && verbs.includes(line.verb) && !line.requestURI.includes('/leases'),
      )
      .map(({verb, requestURI}) => `${verb} ${requestURI}`);
  }
}
