import {once} from 'node:events';
import {connect, createServer, type AddressInfo, type Socket} from 'node:net';

export interface MuteProxy {
  /** On 127.0.0.1. */
  readonly port: number;
  /** While `mute`, what the server says is swallowed: confirms do not come. While `refuse`, new connections are ended at once. What it says comes `lateMs` late. */
  readonly state: {mute: boolean; refuse: boolean; lateMs: number};
  /** Ends every connection; new ones are taken. */
  cut(): void;
  /** Every connection that is open goes silent for ever without ending, as when its node lost power; new ones are served. */
  strand(): void;
  /** Every client hears this as well, as if the server had said it. */
  say(bytes: Buffer): void;
  close(): void;
}

/** Stands between a client and the server at `upstream`, whose host and port count. */
export const openMuteProxy = async (upstream: URL): Promise<MuteProxy> => {
  const sockets = new Set<Socket>();
  const clients = new Set<Socket>();
  const state = {mute: false, refuse: false, lateMs: 0};
  let generation = 0;
  const server = createServer((client) => {
    if (state.refuse) {
      client.destroy();
      return;
    }
    clients.add(client);
    client.on('close', () => clients.delete(client));
    const far = connect(Number(upstream.port), upstream.hostname);
    for (const socket of [client, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        far.destroy();
      });
    }
    const born = generation;
    client.pipe(far);
    far.on('data', (chunk) => {
      if (state.mute || born !== generation) return;
      if (state.lateMs === 0) client.write(chunk);
      else setTimeout(() => client.write(chunk), state.lateMs);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    // A listening TCP server has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    state,
    cut,
    strand() {
      generation += 1;
    },
    say(bytes) {
      for (const client of clients) client.write(bytes);
    },
    close() {
      cut();
      server.close();
    },
  };
};
