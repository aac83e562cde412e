import {createServer, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import type {Registry} from 'prom-client';
import {limitOpsConnections, OPS_SERVER_OPTIONS} from '@pisync/contract/ops-limits';
import {OPS_PATHS} from '@pisync/contract/ports';
import {describeError} from '../errors/app-error.ts';
import type {Readiness} from './readiness.ts';

/** `/healthz`, `/readyz` and `/metrics` on a port of their own, which no route from outside leads to. */
export interface OpsServer {
  readonly port: number;
  stop(): Promise<void>;
}

export interface OpsServerOptions {
  readonly port: number;
  readonly readiness: Readiness;
  readonly registry: Registry;
  readonly lagMs: () => number;
}

export const startOpsServer = async ({port, readiness, registry, lagMs}: OpsServerOptions): Promise<OpsServer> => {
  const answer = async (path: string, response: ServerResponse): Promise<void> => {
    switch (path) {
      case OPS_PATHS.live:
        // To answer at all is the proof of life; a dependency that is down must not restart this process.
        sendJson(response, 200, {status: 'alive', eventLoopLagMs: Math.round(lagMs())});
        return;
      case OPS_PATHS.ready: {
        const report = await readiness.look();
        sendJson(response, report.ready ? 200 : 503, report);
        return;
      }
      case OPS_PATHS.metrics: {
        const text = await registry.metrics();
        response.writeHead(200, {'content-type': registry.contentType}).end(text);
        return;
      }
      default:
        sendJson(response, 404, {detail: `there is no ${path} here`});
    }
  };
  const server = createServer(OPS_SERVER_OPTIONS, (request, response) => {
    request.resume();
    answer((request.url ?? '/').split('?', 1)[0] ?? '/', response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, {detail: describeError(error)});
    });
  });
  limitOpsConnections(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  return {
    // A server that listens on TCP has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

const sendJson = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, {'content-type': 'application/json'}).end(`${JSON.stringify(body)}\n`);
};
