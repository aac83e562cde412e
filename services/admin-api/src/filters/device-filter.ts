import {DEVICE_STATUSES, type DeviceStatus} from '@pisync/core/devices/device-status';
import type {Scope} from '@pisync/core/devices/scope';
import {AppError, type Fault} from '@pisync/core/errors/app-error';

/**
 * The filter of device lists: conditions `field==value` joined by `;` (and). A value with other characters than letters, digits, `_`, `.`,
 * `-` is written as a JSON string: `group=="north & south"`. Every field has an index behind it; what would need a scan is not offered.
 */

export interface DeviceFilter {
  readonly status?: DeviceStatus;
  readonly group?: string;
  readonly shard?: number;
}

const FIELDS = ['status', 'group', 'shard'] as const;
type Field = (typeof FIELDS)[number];

const MAX_LENGTH = 1000;
const CONDITION =
  /^\s*(?<field>[A-Za-z][\w.]*)\s*(?<operator>==|!=|=[a-z]+=|[<>]=?|=)\s*(?<value>"(?:[^"\\]|\\.)*"|[\w.-]+)\s*(?:;|$)/;

const refuse = (pointer: string, detail: string): never => {
  throw new AppError('bad-request', `The filter cannot be used: ${detail}.`, {
    errors: [{pointer, detail}] satisfies Fault[],
  });
};

const isField = (name: string): name is Field => FIELDS.some((field) => field === name);
const isStatus = (text: string): text is DeviceStatus => DEVICE_STATUSES.some((status) => status === text);

/** Conditions of the expression in order, not yet checked against what their fields may be. */
const parseConditions = (expression: string): (readonly [Field, string])[] => {
  if (expression.length > MAX_LENGTH) refuse('/filter', `is longer than ${MAX_LENGTH} characters`);
  const conditions: (readonly [Field, string])[] = [];
  let rest = expression;
  while (rest.trim() !== '') {
    const {field = '', operator = '', value = ''} = CONDITION.exec(rest)?.groups ?? {};
    if (field === '') refuse('/filter', `expects field==value at "${rest.slice(0, 40)}"`);
    if (!isField(field)) return refuse('/filter', `knows no field "${field}"; known are ${FIELDS.join(', ')}`);
    if (operator !== '==') refuse('/filter', `knows no operator "${operator}" for ${field}; known is ==`);
    conditions.push([field, unquote(value)]);
    rest = rest.replace(CONDITION, '');
  }
  return conditions;
};

const unquote = (value: string): string => {
  if (!value.startsWith('"')) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    return refuse('/filter', `has a string that is not JSON: ${value.slice(0, 40)}`);
  }
};

/**
 * The filter of a request: the expression, and `status=` and `group=` as a shorter way to say the same. Saying a field twice is refused unless
 * both say the same.
 * @throws AppError `bad-request` with a pointer to the parameter.
 */
export const parseDeviceFilter = (query: {
  readonly filter?: string | undefined;
  readonly status?: string | undefined;
  readonly group?: string | undefined;
}): DeviceFilter => {
  const found = new Map<Field, string>();
  const add = (pointer: string, field: Field, value: string): void => {
    const earlier = found.get(field);
    if (earlier !== undefined && earlier !== value)
      refuse(pointer, `asks for ${field} "${earlier}" and "${value}" at once`);
    found.set(field, value);
  };
  for (const [field, value] of parseConditions(query.filter ?? '')) add('/filter', field, value);
  if (query.status !== undefined) add('/status', 'status', query.status);
  if (query.group !== undefined) add('/group', 'group', query.group);

  const status = found.get('status');
  const group = found.get('group');
  const shard = found.get('shard');
  if (group?.includes('\u0000') === true) refuse('/group', 'has a NUL character');
  return {
    ...(status === undefined
      ? {}
      : {
          status: isStatus(status)
            ? status
            : refuse(
                query.status === undefined ? '/filter' : '/status',
                `knows no status "${status}"; known are ${DEVICE_STATUSES.join(', ')}`,
              ),
        }),
    ...(group === undefined ? {} : {group}),
    ...(shard === undefined
      ? {}
      : {
          shard: /^\d{1,2}$/.test(shard)
            ? Number(shard)
            : refuse('/filter', `knows no shard "${shard}"; write its number`),
        }),
  };
};

/** The same text for the same filter and scope, however it was written: what cursors are bound to. */
export const canonicalFilter = (filter: DeviceFilter, scope: Scope): string =>
  JSON.stringify([filter.status ?? null, filter.group ?? null, filter.shard ?? null, scope ?? null]);
