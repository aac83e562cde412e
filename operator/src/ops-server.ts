import {once} from 'node:events';
import {createServer, type ServerResponse} from 'node:http';
import {limitOpsConnections, OPS_SERVER_OPTIONS} from '@pisync/contract/ops-limits';
import {OPS_PATHS} from '@pisync/contract/ports';
import {type Registry} from 'prom-client';
import {type Verdict} from './kube/health.ts';

interface OpsSources {
  readonly live: () => Verdict;
  readonly ready: () => Verdict;
  readonly registry: Registry;
}

interface OpsServer {
  readonly port: number;
  close(): Promise<void>;
}

const answer = (response: ServerResponse, status: number, type: string, body: string): void => {
  response.writeHead(status, {'content-type': type}).end(body);
};

const answerVerdict = (response: ServerResponse, verdict: Verdict): void =>
  verdict.ok
    ? answer(response, 200, 'text/plain; charset=utf-8', `${['ok', ...(verdict.remarks ?? [])].join('\n')}\n`)
    : answer(response, 503, 'text/plain; charset=utf-8', `${verdict.problems.join('\n')}\n`);

/** Health and metrics of the operator, for the kubelet and Prometheus. */
export const startOpsServer = async (port: number, {live, ready, registry}: OpsSources): Promise<OpsServer> => {
  const server = createServer(OPS_SERVER_OPTIONS, (request, response) => {
    request.resume();
    switch (request.url) {
      case OPS_PATHS.live:
        answerVerdict(response, live());
        return;
      case OPS_PATHS.ready:
        answerVerdict(response, ready());
        return;
      case OPS_PATHS.metrics:
        registry.metrics().then(
          (text) => answer(response, 200, registry.contentType, text),
          (error: unknown) => answer(response, 500, 'text/plain; charset=utf-8', `${String(error)}\n`),
        );
        return;
      default:
        answer(response, 404, 'text/plain; charset=utf-8', 'not found\n');
    }
  });
  limitOpsConnections(server);
  server.listen(port);
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};
