import {type Command} from '@pisync/core/commands/commands';
import {AppError} from '@pisync/core/errors/app-error';
import {type Enrolment, type EnrolmentRequest} from '@pisync/core/devices/enrolment';
import {type DeviceShards} from '@pisync/device-api/device-shards';
import {type ShardClient} from './client.ts';
import {type Tables} from './rows.ts';
import {appliedOf, rowLock} from './statements.ts';

export interface SimulatedDeviceShards extends DeviceShards {
  /** As core's enrolment.ts. */
  enrol(request: Pick<EnrolmentRequest, 'deviceId' | 'secretHash'>): Promise<Enrolment>;
}

export interface DeviceShardsOptions {
  readonly clientOf: (slot: number) => ShardClient;
  readonly slotOf: (deviceId: string) => number;
  readonly newKey: (slot: number) => number;
  readonly now: () => number;
}

const hasCommands = ({commands}: Tables, deviceKey: number, nowMs: number): boolean =>
  [...commands.values()].some((command) => command.deviceKey === deviceKey && command.expiresAtMs > nowMs);

export const createSimulatedDeviceShards = (options: DeviceShardsOptions): SimulatedDeviceShards => {
  const {clientOf, slotOf, newKey, now} = options;
  return {
    context: (deviceId) =>
      clientOf(slotOf(deviceId)).ask((session) => {
        const tables = session.tables();
        const device = tables.devices.get(deviceId);
        if (device === undefined) return undefined;
        const {deviceKey, slot, secretHash, epoch} = device;
        const state = tables.states.get(deviceKey);
        return {
          credential: {deviceId, deviceKey, slot, secretHash, epoch, revoked: false},
          applied: {epoch: state?.epoch ?? epoch, through: state?.numbers.through ?? 0},
          commands: hasCommands(tables, deviceKey, now()),
        };
      }),
    position: ({deviceId, deviceKey, slot}, asked) =>
      clientOf(slot).ask((session) => {
        const tables = session.tables();
        const state = tables.states.get(deviceKey);
        if (state?.deviceId !== deviceId) return undefined;
        return {
          epoch: state.epoch,
          appliedThrough: state.numbers.through,
          appliedOfAsked: appliedOf(tables, deviceKey, asked)?.through ?? 0,
          commands: hasCommands(tables, deviceKey, now()),
        };
      }),
    openCommands: ({deviceKey, slot}, limit) =>
      clientOf(slot).ask((session) =>
        [...session.tables().commands.values()]
          .filter((command) => command.deviceKey === deviceKey && command.expiresAtMs > now())
          .slice(0, limit)
          .map(({createdAtMs, expiresAtMs, deliveredAtMs, ...command}): Command => ({
            ...command,
            createdAt: new Date(createdAtMs),
            expiresAt: new Date(expiresAtMs),
            deliveredAt: deliveredAtMs === undefined ? null : new Date(deliveredAtMs),
          })),
      ),
    async markDelivered(deliveries, atMs) {
      for (const {deviceKey, slot, commandId} of deliveries) {
        await clientOf(slot).ask((session) => {
          session.written.changes.push(({commands}) => {
            for (const [key, command] of commands) {
              const isIt = command.deviceKey === deviceKey && command.commandId === commandId;
              if (isIt && command.deliveredAtMs === undefined) commands.set(key, {...command, deliveredAtMs: atMs});
            }
          });
        });
      }
    },
    async touchLastSeen(sightings) {
      // Nothing that the laws look at is written; what counts is that it holds the rows.
      for (const {deviceKey, slot} of sightings) {
        await clientOf(slot).ask((session) => session.lock(rowLock(deviceKey)));
      }
      return [];
    },
    enrol({deviceId, secretHash}) {
      const slot = slotOf(deviceId);
      return clientOf(slot).ask(async (session): Promise<Enrolment> => {
        await session.lock(`device ${deviceId}`);
        const known = session.tables().devices.get(deviceId);
        if (known === undefined) {
          const deviceKey = newKey(slot);
          session.written.changes.push((tables) => {
            tables.devices.set(deviceId, {deviceKey, deviceId, slot, secretHash, replacedSecrets: [], epoch: 1});
            tables.states.set(deviceKey, {
              ...{deviceId, epoch: 1, numbers: {through: 0, ahead: []}, stateEpoch: 0, stateSeq: 0},
              ...{recordsTotal: 0, syncsTotal: 0},
            });
          });
          return {kind: 'created', deviceKey, slot, epoch: 1};
        }
        const {deviceKey, epoch} = known;
        if (known.secretHash.equals(secretHash)) return {kind: 'repeated', deviceKey, slot, epoch};
        if (known.replacedSecrets.includes(secretHash.toString('hex')))
          return {kind: 'refused', why: 'secret-replaced'};
        const replacedSecrets = [known.secretHash.toString('hex'), ...known.replacedSecrets];
        if (epoch > 1000) throw new AppError('internal', 'a device that enrols for ever');
        session.written.changes.push(({devices}) =>
          devices.set(deviceId, {...known, secretHash, replacedSecrets, epoch: epoch + 1}),
        );
        return {kind: 'replaced', deviceKey, slot, epoch: epoch + 1};
      });
    },
  };
};
