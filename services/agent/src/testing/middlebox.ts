/** What may stand between a device and its region, and does to calls and answers what it should not. Over real HTTP on loopback. */
import {createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {request as send} from 'undici';

export interface Passing {
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Passed {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Way {
  readonly call: Passing;
  /** Brings a call to the region, or to what else there is at this address. */
  readonly forward: (call: Passing, url?: string) => Promise<Passed>;
  readonly answer: (passed: Passed) => void;
  /** Answers with these bytes in place of a whole answer, or with nothing, and hangs up. */
  readonly hangUp: (bytes?: Buffer) => void;
  /** What this box has answered so far, the first first. */
  readonly answered: readonly (Passed & {readonly path: string})[];
}

/** What is done with one call. */
export type Deed = (way: Way) => Promise<void>;

export const honest: Deed = async ({call, forward, answer}) => answer(await forward(call));

export interface Middlebox {
  readonly url: string;
  readonly calls: () => number;
  /** Whether it is rude to the call with this number, from 1. */
  isRude: (call: number, path: string) => boolean;
  close(): Promise<void>;
}

/** Headers of one connection, which are not passed on (RFC 9110, 7.6.1); and the length, which follows from the body. */
const HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'upgrade', 'te']);

const bytesOf = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  // Node's types say any for chunks; without an encoding they are Buffers.
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
};

export const startMiddlebox = async (upstream: string, deed: Deed): Promise<Middlebox> => {
  let count = 0;
  const answered: (Passed & {readonly path: string})[] = [];
  const forward = async ({path, headers, body}: Passing, url = upstream): Promise<Passed> => {
    const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP.has(name)));
    const reply = await send(`${url}${path}`, {method: 'POST', headers: kept, body});
    const own = Object.entries(reply.headers).flatMap(([name, value]) =>
      typeof value === 'string' && !HOP.has(name) ? [[name, value] as const] : [],
    );
    return {
      status: reply.statusCode,
      headers: Object.fromEntries(own),
      body: Buffer.from(await reply.body.arrayBuffer()),
    };
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? '';
    count += 1;
    const isRude = box.isRude(count, path);
    const call = {path, headers: request.headers, body: await bytesOf(request)};
    await (isRude ? deed : honest)({
      call,
      forward,
      answered,
      answer(passed) {
        answered.push({...passed, path});
        response.writeHead(passed.status, {...passed.headers, 'content-length': passed.body.length});
        response.end(passed.body);
      },
      hangUp(bytes) {
        if (bytes === undefined) request.socket.destroy();
        else request.socket.end(bytes);
      },
    });
  };
  const server = createServer((request, response) => {
    // A device that has given up, or a region that hung up, ends the way.
    handle(request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A server that listens on TCP has an AddressInfo.
  const {port} = server.address() as AddressInfo;
  const box: Middlebox = {
    url: `http://127.0.0.1:${port}`,
    calls: () => count,
    isRude: () => true,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return box;
};
