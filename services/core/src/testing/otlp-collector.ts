import {once} from 'node:events';
import {createServer, type IncomingMessage} from 'node:http';
import type {AddressInfo} from 'node:net';
import {z} from 'zod';

const attributesSchema = z
  .array(z.object({key: z.string(), value: z.record(z.string(), z.unknown())}))
  .default([])
  // A value is an object with one member, named by its type.
  .transform((list) => Object.fromEntries(list.map(({key, value}) => [key, Object.values(value)[0]])));

const spanSchema = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  /** As OTLP numbers them: 2 server, 5 consumer. */
  kind: z.number(),
  attributes: attributesSchema,
  links: z.array(z.object({traceId: z.string(), spanId: z.string()})).default([]),
  /** 2 means an error. */
  status: z.object({code: z.number().default(0)}).default({code: 0}),
});

const requestSchema = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({attributes: attributesSchema}),
      scopeSpans: z.array(z.object({spans: z.array(spanSchema)})),
    }),
  ),
});

type CollectedSpan = z.infer<typeof spanSchema>;

/** Takes spans by OTLP over HTTP, in JSON, as a collector would. */
export interface OtlpCollector {
  /** Without a path. */
  readonly endpoint: string;
  readonly spans: () => readonly CollectedSpan[];
  /** Calls that went to another path. */
  readonly refusals: () => number;
  close(): Promise<void>;
}

export const startOtlpCollector = async (): Promise<OtlpCollector> => {
  const spans: CollectedSpan[] = [];
  let refusals = 0;
  const server = createServer((request, response) => {
    void textOf(request).then((text) => {
      const isTraces = request.method === 'POST' && request.url === '/v1/traces';
      if (isTraces) {
        const {resourceSpans} = requestSchema.parse(JSON.parse(text));
        spans.push(...resourceSpans.flatMap(({scopeSpans}) => scopeSpans.flatMap((scope) => scope.spans)));
      } else refusals += 1;
      response.writeHead(isTraces ? 200 : 404, {'Content-Type': 'application/json'}).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an AddressInfo.
  const {port} = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    spans: () => spans,
    refusals: () => refusals,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
};

const textOf = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  // A request without an encoding yields buffers.
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
};
