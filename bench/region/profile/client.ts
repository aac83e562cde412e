/** Run in a pod's network: has the inspector of the Node.js process there record what it executes for so many milliseconds, and prints the profile. */
import {setTimeout as delay} from 'node:timers/promises';

interface Target {
  readonly webSocketDebuggerUrl: string;
}

const INSPECTOR = 'http://127.0.0.1:9229/json/list';
const OPENS_WITHIN_MS = 5000;

const findTarget = async (): Promise<Target> => {
  for (let waitedMs = 0; ; waitedMs += 100) {
    try {
      // As the inspector answers: https://chromedevtools.github.io/devtools-protocol/
      const [target] = (await (await fetch(INSPECTOR)).json()) as readonly Target[];
      if (target !== undefined) return target;
    } catch (error) {
      if (waitedMs >= OPENS_WITHIN_MS) throw error;
    }
    await delay(100);
  }
};

const {webSocketDebuggerUrl} = await findTarget();
const socket = new WebSocket(webSocketDebuggerUrl);
await new Promise((resolve, reject) => {
  socket.addEventListener('open', resolve);
  socket.addEventListener('error', () => reject(new Error('the inspector refused the connection')));
});

let lastId = 0;
const ask = (method: string, params: object = {}): Promise<unknown> => {
  const id = ++lastId;
  return new Promise((resolve, reject) => {
    const listen = ({data}: MessageEvent): void => {
      const answer = JSON.parse(String(data)) as {
        readonly id?: number;
        readonly result?: unknown;
        readonly error?: {readonly message: string};
      };
      if (answer.id !== id) return;
      socket.removeEventListener('message', listen);
      if (answer.error === undefined) resolve(answer.result);
      else reject(new Error(`${method}: ${answer.error.message}`));
    };
    socket.addEventListener('message', listen);
    socket.send(JSON.stringify({id, method, params}));
  });
};

await ask('Profiler.enable');
await ask('Profiler.setSamplingInterval', {interval: 500});
await ask('Profiler.start');
await delay(Number(process.argv[2]));
const {profile} = (await ask('Profiler.stop')) as {readonly profile: unknown};
process.stdout.write(JSON.stringify(profile), () => process.exit(0));
