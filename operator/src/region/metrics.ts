import {Gauge, type Registry} from 'prom-client';
import {type RegionStatus} from '../api/v1alpha1/status.ts';
import {type KubeObject} from '../kube/object.ts';

/** Metrics about regions: one line of facts each, and one a condition and status, as kube-state-metrics does it. */
export const regionMetrics = (registry: Registry) => {
  const info = new Gauge({
    name: 'pisync_region_info',
    help: 'One for every region.',
    labelNames: ['namespace', 'region', 'phase', 'version'],
    registers: [registry],
  });
  const condition = new Gauge({
    name: 'pisync_region_condition',
    help: '1 for the status that a condition has.',
    labelNames: ['namespace', 'region', 'type', 'status'],
    registers: [registry],
  });
  /** What was exported of each region last, to take it back. */
  const exported = new Map<string, readonly (() => void)[]>();

  return {
    /** `status` undefined: the region is gone. */
    record: ({metadata}: KubeObject, status: RegionStatus | undefined): void => {
      const {namespace = '', name, uid} = metadata;
      for (const takeBack of exported.get(uid) ?? []) takeBack();
      exported.delete(uid);
      if (status === undefined) return;
      const region = {namespace, region: name};
      const facts = {...region, phase: status.phase ?? '', version: status.version?.current ?? ''};
      info.set(facts, 1);
      const takeBack = [() => info.remove(facts)];
      for (const {type, status: value} of status.conditions ?? []) {
        for (const possible of ['True', 'False', 'Unknown']) {
          const labels = {...region, type, status: possible};
          condition.set(labels, possible === value ? 1 : 0);
          takeBack.push(() => condition.remove(labels));
        }
      }
      exported.set(uid, takeBack);
    },
  };
};
