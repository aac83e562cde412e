import {type Socket} from 'node:net';
import {Agent, buildConnector, errors} from 'undici';
import {type Credentials} from './connection.ts';

/**
 * Connections to the API server. Watches share one with HTTP/2, which costs a stream each. What has a body goes over HTTP/1.1: undici destroys the stream of a
 * request that is given up, and where its body was not sent yet node's HTTP/2 then frames nothing for ever, in native code, until the memory is used up.
 *
 * A connection that dies without a word (a load balancer forgot it, a process hangs whose kernel goes on to acknowledge) must be replaced soon. A request that runs
 * out of time ends its connection with HTTP/1.1. With HTTP/2 it ends only itself, and undici keeps the connection. So those are asked for a sign of life.
 */

/** Load balancers forget idle connections after 60 s; half of it keeps them known, as client-go does. */
const KEEP_ALIVE_PROBE_MS = 30_000;
const CONNECT_MS = 10_000;
/** A server answers a PING at once, whatever requests it works on. */
const PING_MS = 4_000;
/** So often in a row nothing came: the connection is dead. It was so for at most one time more. */
const SILENT_BEATS = 2;

const keepAlive = {keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS};

/** Of the server, until a connection to it is given up. */
export const SILENCE_MS = SILENT_BEATS * PING_MS;

/** Ends the connection when nothing comes from it any more, and says so. */
const watchOver = (socket: Socket, onSilent: () => void): void => {
  let seen = socket.bytesRead;
  let silent = 0;
  const beat = setInterval(() => {
    silent = socket.bytesRead === seen ? silent + 1 : 0;
    seen = socket.bytesRead;
    if (silent < SILENT_BEATS) return;
    socket.destroy(silenceError());
    onSilent();
  }, PING_MS).unref();
  socket.once('close', () => clearInterval(beat));
};

/** undici sends what waits again on another connection after an error of this kind. */
export const silenceError = (): Error =>
  new errors.SocketError(`the server has been silent for ${SILENCE_MS / 1000} s`);

const connectorOf = (tls: Credentials['tls'], onSilent: () => void): buildConnector.connector => {
  const connect = buildConnector({...tls, ...keepAlive, timeout: CONNECT_MS});
  return (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (error !== null) {
        callback(error, null);
        return;
      }
      // Only TLS agrees on a protocol.
      if ('alpnProtocol' in socket && socket.alpnProtocol === 'h2') watchOver(socket, onSilent);
      callback(null, socket);
    });
};

/**
 * Pooled: a handshake a request costs four times the request itself. Four workers may have some fifty requests under way; whatever is more, such as the lists of
 * many namespaces at the start, waits for a connection within its own time.
 */
export const requestAgent = ({tls}: Credentials): Agent =>
  new Agent({
    connect: {...tls, ...keepAlive, timeout: CONNECT_MS},
    allowH2: false,
    connections: 64,
    keepAliveTimeout: 30_000,
  });

/**
 * A watch is silent for minutes: no time-out for its body.
 *
 * @param onSilent called when a connection is given up because the server does not even answer a PING
 */
export const watchAgent = ({tls}: Credentials, onSilent: () => void): Agent =>
  new Agent({
    connect: connectorOf(tls, onSilent),
    bodyTimeout: 0,
    headersTimeout: 60_000,
    h2Options: {pingInterval: PING_MS},
  });

/** For requests that come one after the other and have seconds: the first that gets no answer ends the connection, and the next one has another. */
export const urgentAgent = ({tls}: Credentials): Agent =>
  new Agent({
    connect: {...tls, ...keepAlive, timeout: 4_000},
    allowH2: false,
    connections: 1,
    keepAliveTimeout: 30_000,
  });
