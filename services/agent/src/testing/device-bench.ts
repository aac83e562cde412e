/** Devices in memory beside a region in memory, over real HTTP. */
import {Device, type DeviceOptions} from '../client/device.ts';
import type {Identity} from '../client/identity.ts';
import {Outbox, type Batch, type OutboxEntry} from '../client/outbox.ts';
import {createTransport} from '../client/transport.ts';
import type {Reading} from '../client/wire.ts';
import {startFakeRegion, type FakeRegion} from './fake-region.ts';

export interface DeviceBench {
  readonly region: FakeRegion;
  /** Each identity that was saved. */
  readonly saved: Identity[];
  readonly journal: OutboxEntry[];
  /** What the region has refused for good. */
  readonly aside: Batch[];
  /** Where each call went. */
  readonly calls: {readonly baseUrl: string; readonly path: string}[];
  /** Whether the disk has no room for this identity. */
  refuses: (identity: Identity) => boolean;
  /** Whether the disk takes what is set aside. */
  hasRoom: boolean;
  /** Where calls end up: at the region, unless somebody leads them elsewhere. */
  url: string;
  /** What the device's clock is ahead of ours, for what takes days. */
  aheadMs: number;
  /** One device, or the same one after a start. The one before it is off. */
  makeDevice(identity?: Identity, outbox?: Outbox, more?: Partial<DeviceOptions>): Promise<Device>;
  /** Steps until the condition holds; a device that waits is asked again, because waits here are milliseconds. */
  until(device: Device, done: () => boolean, what: string): Promise<void>;
  close(): Promise<void>;
}

export const readings = (count: number): Reading[] => Array.from({length: count}, (_, i) => ({k: 'n', t: i, d: {i}}));

export const drained = (device: Device): boolean =>
  device.outbox.epoch !== undefined && device.outbox.queued === 0 && device.outbox.batches.length === 0;

export const openDeviceBench = async (): Promise<DeviceBench> => {
  const region = await startFakeRegion();
  let closeTransport = (): Promise<void> => Promise.resolve();
  const bench: DeviceBench = {
    region,
    saved: [],
    journal: [],
    aside: [],
    calls: [],
    refuses: () => false,
    hasRoom: true,
    url: region.url,
    aheadMs: 0,
    async makeDevice(identity, outbox = new Outbox(), more = {}) {
      await closeTransport();
      let secrets = 0;
      const {transport, close} = createTransport({
        connections: 1,
        host: 'eu.example.com',
        timeoutMs: 2000,
        caFile: undefined,
        insecure: false,
      });
      closeTransport = close;
      return new Device({
        identity: identity ?? {hardwareId: 'pi-1', pending: {secret: 'first-secret'}},
        outbox,
        memory: {
          saveIdentity: (next) =>
            bench.refuses(next)
              ? Promise.reject(new Error('the disk is full'))
              : Promise.resolve(void bench.saved.push(next)),
          append: (entries) => Promise.resolve(void bench.journal.push(...entries)),
          setAside(batch) {
            if (bench.hasRoom) bench.aside.push(batch);
            return Promise.resolve(bench.hasRoom);
          },
        },
        transport(call) {
          bench.calls.push({baseUrl: call.baseUrl, path: call.path.replace(/\?.*/, '')});
          return transport({...call, baseUrl: bench.url});
        },
        clock: {monotonicMs: () => performance.now() + bench.aheadMs, wallMs: () => 0},
        random: () => 0.5,
        newSecret: () => `secret-${++secrets}`,
        readState: () => ({v: 1}),
        observer: {},
        options: {baseUrl: region.url, enrolmentToken: 'enrol-me', profile: {}, backoffScale: 0.001, ...more},
      });
    },
    async until(device, done, what) {
      const deadlineMs = performance.now() + 5000;
      while (!done()) {
        if (performance.now() > deadlineMs) {
          const seen = JSON.stringify(region.seen.slice(-3));
          throw new Error(`not in time: ${what}; session ${JSON.stringify(device.session)}; saw ${seen}`);
        }
        await device.step();
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    async close() {
      await closeTransport();
      await region.close();
    },
  };
  return bench;
};
