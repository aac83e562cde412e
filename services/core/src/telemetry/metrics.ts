import {collectDefaultMetrics, Registry} from 'prom-client';

/** A registry with the process' own metrics. Made in a composition root and passed on: prom-client's global one stays empty. */
export const createRegistry = (service: string): Registry => {
  const registry = new Registry();
  registry.setDefaultLabels({service});
  collectDefaultMetrics({register: registry});
  return registry;
};
