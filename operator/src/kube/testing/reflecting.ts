import {type ApiClient} from '../api-client.ts';
import {systemClock, type Clock} from '../clock.ts';
import {type WatchSpec} from '../controller.ts';
import {Discovery} from '../discovery.ts';
import {Reflector} from '../reflector.ts';
import {Store, type Change} from '../store.ts';
import {eventually, identity, testLog, testMetrics} from './fixtures.ts';

/** What a reflector needs of a client. */
export type Streams = Pick<ApiClient, 'send' | 'stream'>;

/** Follows ConfigMaps of the default namespace, or what `spec` says, until `end` is called. */
export const reflect = (
  server: ApiClient,
  spec: Partial<WatchSpec>,
  client: Streams = server,
  onChange: (change: Change) => void = () => undefined,
  clock: Clock = systemClock,
) => {
  const whole = {apiVersion: 'v1', kind: 'ConfigMap', ...spec};
  const changes: string[] = [];
  const store = new Store(whole, (change) => {
    changes.push(`${change.kind} ${change.object.metadata.name}`);
    onChange(change);
  });
  const log = testLog();
  const metrics = testMetrics();
  let servedChanges = 0;
  /** What was in the store each time that it could be gone by again. */
  const cleared: (readonly string[])[] = [];
  const reflector = new Reflector({
    findResource: () => undefined,
    spec: whole,
    namespace: 'default',
    store,
    client,
    discovery: new Discovery(server, clock),
    clock,
    random: Math.random,
    metrics,
    identity,
    log,
    onServedChange: () => servedChanges++,
    onClear: () => cleared.push(store.list().map(({metadata}) => metadata.name)),
  });
  const stop = new AbortController();
  const ended = reflector.run(stop.signal);
  const sees = (change: string): Promise<true> =>
    eventually(
      () => (changes.includes(change) ? true : undefined),
      () => `${change} is not among ${changes.join(', ')}; log:\n${log.lines.join('\n')}`,
    );
  const end = (): Promise<void> => {
    stop.abort();
    return ended;
  };
  return {reflector, store, changes, cleared, log, metrics, sees, servedChanges: () => servedChanges, end};
};
