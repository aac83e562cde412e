import type {z} from 'zod';
import {AppError, type Fault} from '@pisync/core/errors/app-error';

const faultOf = (issue: z.core.$ZodIssue): Fault => {
  const pointer = issue.path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  if (issue.code === 'unrecognized_keys') return {pointer: `${pointer}/${issue.keys[0] ?? ''}`, detail: issue.message};
  return {pointer, detail: issue.message};
};

/**
 * The value as its schema reads it.
 * @throws AppError `bad-request` with a pointer (RFC 6901, within the query, the path's parameters or the body) per fault.
 */
export const parseInput = <S extends z.ZodType>(schema: S, value: unknown, where: string): z.output<S> => {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.map(faultOf);
  const summary = errors.map(({pointer, detail}) => (pointer === '' ? detail : `${pointer}: ${detail}`)).join('; ');
  throw new AppError('bad-request', `The ${where} cannot be used: ${summary}.`, {errors});
};

/** The query string as an object. @throws AppError `bad-request` when a parameter is given twice. */
export const parseQueryString = (search: string): Record<string, string> => {
  const values = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(search)) {
    if (values.has(name)) {
      const detail = 'is given more than once';
      throw new AppError('bad-request', `The parameter ${name} ${detail}.`, {errors: [{pointer: `/${name}`, detail}]});
    }
    values.set(name, value);
  }
  // fromEntries defines every name as its own property, also __proto__.
  return Object.fromEntries(values);
};
