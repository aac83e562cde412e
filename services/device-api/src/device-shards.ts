import {type Command, listOpenCommands, markDelivered} from '@pisync/core/commands/commands';
import {type DeviceContext, findDeviceContext} from '@pisync/core/devices/credentials';
import {type Sighting, touchLastSeen, type Unwritten} from '@pisync/core/devices/last-seen';
import {findPosition, type Position} from '@pisync/core/devices/position';
import type {DeviceRef} from '@pisync/core/receipts/receipts';
import type {Shards} from '@pisync/core/shards/shards';

/** What a sync needs of the shards of devices: little to read, and nothing to write that somebody waits for. */
export interface DeviceShards {
  /** Undefined when no such device is enrolled. */
  context(deviceId: string): Promise<DeviceContext | undefined>;
  /** Undefined when the device is not enrolled. */
  position(device: DeviceRef & {readonly deviceId: string}, epoch: number): Promise<Position | undefined>;
  openCommands(device: DeviceRef, limit: number): Promise<readonly Command[]>;
  markDelivered(deliveries: readonly (DeviceRef & {readonly commandId: string})[], atMs: number): Promise<void>;
  touchLastSeen(sightings: readonly Sighting[]): Promise<readonly Unwritten[]>;
}

export const createDeviceShards = (shards: Shards): DeviceShards => ({
  context: (deviceId) => findDeviceContext(shards, deviceId),
  position: (device, epoch) => findPosition(shards, device, epoch),
  openCommands: (device, limit) => listOpenCommands(shards, device, limit),
  markDelivered: (deliveries, atMs) => markDelivered(shards, deliveries, atMs),
  touchLastSeen: (sightings) => touchLastSeen(shards, sightings),
});
