import {type FilterNode, parseFilter, withGroups} from '@pisync/core/filters/parse-filter';
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

/** The same text for the same filter: what cursors are bound to. Relative times stand in it as they were written, and dynamic groups with what they ask for. */
export const filterText = ({expression, status, group}: DeviceFilter, groups: FilterWorld['groups']): string => {
  const named = new Set(group === undefined ? [] : [group]);
  if (expression !== undefined) {
    withGroups(expression, (name) => {
      named.add(name);
      return name;
    });
  }
  const filters = [...named].map((name) => canonicalFilter(groups.filterOf(name)));
  return JSON.stringify([canonicalFilter(expression), status ?? null, group ?? null, filters]);
};

/** What can be added to what no index finds. */
const ADD =
  'q=…, id==…, name==… or name==abc*, hardwareId==…, model==…, group==…, status==…, shard==…, tags.<key>==…, revoked==true, decommissioned==true, disputed==true, or an end of lastSync, lastSeen, enrolledAt or statusSince such as lastSync<-P2D';

const isGroup = (group: string): FilterNode => {
  const values = [{text: group, isPrefix: false, at: 0}];
  return {kind: 'comparison', field: 'group', key: undefined, operator: '==', values, at: 0};
};

/** The conditions of a filter. */
export const filterConditions = ({expression, status, group}: DeviceFilter, world: FilterWorld): DeviceCondition => {
  const nodes = [...(expression === undefined ? [] : [expression]), ...(group === undefined ? [] : [isGroup(group)])];
  const asked = nodes.length === 0 ? [] : [deviceCondition({kind: 'and', nodes, at: 0}, world)];
  if (status !== undefined) asked.push({kind: 'is', field: 'status', values: [status], not: false});
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
