import {connect, createServer, type Socket} from 'node:net';

/** A TCP proxy in front of a server whose connections a test can cut or let die, and which it can close for a while. */
export interface CuttableProxy {
  readonly port: number;
  /** Resets every connection. */
  cut(): void;
  /** Lets every connection die that there is: what is sent is acknowledged and goes nowhere, in both directions. New ones are as ever. */
  swallow(): void;
  /** While refused, new connections are reset at once. */
  refuse(isRefused: boolean): void;
  stop(): Promise<void>;
}

export const startProxy = async (targetPort: number): Promise<CuttableProxy> => {
  const sockets = new Set<Socket>();
  const piped = new Set<readonly [Socket, Socket]>();
  let isRefusing = false;
  const server = createServer((inbound) => {
    if (isRefusing) {
      inbound.resetAndDestroy();
      return;
    }
    const outbound = connect(targetPort, '127.0.0.1');
    for (const socket of [inbound, outbound]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    inbound.on('error', () => outbound.destroy());
    outbound.on('error', () => inbound.destroy());
    inbound.pipe(outbound).pipe(inbound);
    piped.add([inbound, outbound]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the proxy has no port');
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: address.port,
    cut,
    swallow: () => {
      for (const [inbound, outbound] of piped) {
        inbound.unpipe(outbound).resume();
        outbound.unpipe(inbound).resume();
      }
      piped.clear();
    },
    refuse: (value) => void (isRefusing = value),
    stop: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
