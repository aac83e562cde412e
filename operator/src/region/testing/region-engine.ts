import {systemClock} from '../../kube/clock.ts';
import {createEngine, type Engine, type EngineOptions} from '../../kube/engine.ts';
import {type TestApiServer} from '../../kube/testing/api-server.ts';
import {randomText, testLog, testMetrics} from '../../kube/testing/fixtures.ts';
import {regionController} from '../controller.ts';
import {IDENTITY} from '../labels.ts';
import {RELEASE} from './simulated-region.ts';

/** The operator as it is deployed, on a real API server; `name` is its user agent and the holder of its Lease. */
export const regionEngine = (
  server: TestApiServer,
  name = 'operator',
  more: Partial<Pick<EngineOptions<never, never, never>, 'credentials' | 'namespaces'>> = {},
): {readonly engine: Engine; readonly log: ReturnType<typeof testLog>} => {
  const log = testLog();
  const engine = createEngine({
    name: 'pisyncregion',
    controller: regionController(RELEASE, systemClock),
    identity: IDENTITY,
    credentials: server.credentials,
    userAgent: name,
    namespaces: [],
    workers: 2,
    lease: {namespace: 'default', name: 'pisync-operator', identity: name},
    clock: systemClock,
    random: Math.random,
    randomText,
    metrics: testMetrics(),
    log,
    ...more,
  });
  return {engine, log};
};
