import {once} from 'node:events';
import {connect} from 'node:net';

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** One kept-alive HTTP/1.1 connection with one request under way at a time. */
export interface HttpConnection {
  /** False once the other side has closed it. */
  readonly isOpen: boolean;
  /** `headers` are whole lines. @throws Error when the connection ends, or is silent for half a minute, before the answer, or the answer has no length. */
  post(path: string, headers: string, body: string | Buffer): Promise<HttpAnswer>;
  get(path: string, headers: string): Promise<HttpAnswer>;
  close(): void;
}

const END_OF_HEADERS = '\r\n\r\n';
/** Twice as long as the region's ingress waits for an answer. */
const SILENT_MS = 30_000;

/**
 * A client of a few lines, because the load generator shares the processors with what it measures and a full one costs as much
 * as a third of the server. It speaks to our own servers only, whose answers are ASCII and have a Content-Length.
 *
 * @param host what to ask for, where the address is an ingress's
 */
export const connectHttp = async (url: URL, host = url.host): Promise<HttpConnection> => {
  const socket = connect({host: url.hostname, port: Number(url.port), noDelay: true, timeout: SILENT_MS});
  socket.once('timeout', () => socket.destroy(new Error(`nothing came for ${SILENT_MS / 1000} s`)));
  await once(socket, 'connect');
  socket.setEncoding('latin1');
  let received = '';
  let waiting: {readonly resolve: (answer: HttpAnswer) => void; readonly reject: (error: Error) => void} | undefined;

  const fail = (reason: string): void => {
    waiting?.reject(new Error(`${url.host}: ${reason}`));
    waiting = undefined;
    socket.destroy();
  };
  socket.on('data', (text: string) => {
    received += text;
    const end = received.indexOf(END_OF_HEADERS);
    if (end < 0) return;
    const length = /\r\ncontent-length: (\d+)\r\n/i.exec(received.slice(0, end + 2))?.[1];
    if (length === undefined) {
      fail('the answer has no Content-Length');
      return;
    }
    const start = end + END_OF_HEADERS.length;
    if (received.length < start + Number(length)) return;
    // "HTTP/1.1 200 OK"
    const answer = {status: Number(received.slice(9, 12)), body: received.slice(start, start + Number(length))};
    received = '';
    waiting?.resolve(answer);
    waiting = undefined;
  });
  socket.on('error', ({message}) => fail(message));
  socket.on('close', () => fail('the connection ended before the answer'));

  const send = (write: () => void): Promise<HttpAnswer> =>
    new Promise((resolve, reject) => {
      waiting = {resolve, reject};
      if (socket.destroyed) fail('the connection has ended');
      else write();
    });
  return {
    get isOpen() {
      return !socket.destroyed;
    },
    post: (path, headers, body) =>
      send(() => {
        const head = `POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
        // In one piece, which costs less than two that are sent together.
        socket.write(typeof body === 'string' ? head + body : Buffer.concat([Buffer.from(head, 'latin1'), body]));
      }),
    get: (path, headers) => send(() => void socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${headers}\r\n`)),
    close: () => void socket.destroy(),
  };
};
