import {type FilterNode, parseFilter} from '@pisync/core/filters/parse-filter';
import {AppError, type Fault} from '@pisync/core/errors/app-error';
import {isStorableText} from '@pisync/core/json/storable';
import {DEVICE_STATUSES, type DeviceStatus} from '@pisync/core/devices/device-status';
import {type DeviceCondition, allOf, deviceCondition, type FilterWorld} from '@pisync/core/filters/device-condition';
import {isIndexed} from '@pisync/core/queries/device-sql';
import {canonicalFilter} from '@pisync/core/filters/parse-filter';

/** What a request asks devices to be like: the expression, and `status=` and `group=` as a shorter way to say one condition. All of it holds. */
export interface DeviceFilter {
  readonly expression: FilterNode | undefined;
  readonly status: DeviceStatus | undefined;
  readonly group: string | undefined;
}

const refuse = (pointer: string, detail: string): never => {
  throw new AppError('bad-request', `The filter cannot be used: ${detail}.`, {
    errors: [{pointer, detail}] satisfies Fault[],
  });
};

const isStatus = (text: string): text is DeviceStatus => DEVICE_STATUSES.some((status) => status === text);

/** @throws AppError `bad-request` with a pointer to the parameter, and for the expression the character. */
export const parseDeviceFilter = ({
  filter,
  status,
  group,
}: {
  readonly filter?: string | undefined;
  readonly status?: string | undefined;
  readonly group?: string | undefined;
}): DeviceFilter => {
  if (status !== undefined && !isStatus(status))
    return refuse('/status', `knows no status "${status}"; known are ${DEVICE_STATUSES.join(', ')}`);
  if (group !== undefined && !isStorableText(group)) refuse('/group', 'has a character that cannot be stored');
  return {expression: filter === undefined ? undefined : parseFilter(filter), status, group};
};

/** The same text for the same filter: what cursors are bound to. Relative times stand in it as they were written. */
export const filterText = ({expression, status, group}: DeviceFilter): string =>
  JSON.stringify([canonicalFilter(expression), status ?? null, group ?? null]);

/** What can be added to what no index finds. */
const ADD =
  'q=…, id==…, name==… or name==abc*, hardwareId==…, model==…, group==…, status==…, shard==…, tags.<key>==…, revoked==true, decommissioned==true, disputed==true, or an end of lastSync, lastSeen, enrolledAt or statusSince such as lastSync<-P2D';

/** The conditions of a filter. */
export const filterConditions = ({expression, status, group}: DeviceFilter, world: FilterWorld): DeviceCondition => {
  const asked = expression === undefined ? [] : [deviceCondition(expression, world)];
  if (status !== undefined) asked.push({kind: 'is', field: 'status', values: [status], not: false});
  if (group !== undefined) {
    const groupId = world.groups.idOf(group);
    // Nothing is in a group that is not there.
    asked.push(groupId === undefined ? {kind: 'never'} : {kind: 'is', field: 'group', values: [groupId], not: false});
  }
  return allOf(asked);
};

/** @throws AppError `bad-request` where every device would have to be looked at, with what to add. */
export const requireIndexed = (condition: DeviceCondition): DeviceCondition => {
  if (!isIndexed(condition))
    refuse(
      '/filter',
      `has no condition that an index finds, in each branch of a ","; join one of these by ";": ${ADD}`,
    );
  return condition;
};
