import type {Server, ServerOptions} from 'node:http';
import type {Socket} from 'node:net';

/** Of the server behind {@link PORTS}.ops, which any pod of the cluster may reach. */
export const OPS_SERVER_OPTIONS: ServerOptions = {
  maxHeaderSize: 8 * 1024,
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
};

/** A probe, a scrape and some people. */
const MOST_CONNECTIONS = 64;
const CROWDED = 48;
/** Without a byte, either way. A look at every dependency takes less. */
const SILENT_FOR_MS = 10_000;

/**
 * Lets nobody keep the kubelet and Prometheus out, whatever he does with his connections: each carries one request, and when there are many the oldest makes
 * room, because an answer takes milliseconds.
 */
export const limitOpsConnections = (server: Server): void => {
  server.maxConnections = MOST_CONNECTIONS;
  server.maxRequestsPerSocket = 1;
  server.setTimeout(SILENT_FOR_MS);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const [oldest] = sockets;
    if (sockets.size <= CROWDED || oldest === undefined) return;
    sockets.delete(oldest);
    oldest.destroy();
  });
};
