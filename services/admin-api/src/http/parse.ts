import {z} from 'zod';
import {AppError, type Fault} from '@pisync/core/errors/app-error';
import {pointerStep} from '@pisync/core/json/pointer';
import {isStorableText} from '@pisync/core/json/storable';

/** Of what somebody sent, so much is repeated in the answer. */
const SHOWN_CHARS = 40;
const MAX_FAULTS = 20;

const stepOf = (part: PropertyKey): string => {
  const text = String(part);
  return pointerStep(text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text);
};

const faultOf = (issue: z.core.$ZodIssue): Fault => {
  const pointer = issue.path.map(stepOf).join('');
  if (issue.code !== 'unrecognized_keys') return {pointer, detail: issue.message};
  return {pointer: pointer + stepOf(issue.keys[0] ?? ''), detail: 'is not known here'};
};

/**
 * The value as its schema reads it.
 * @throws AppError `bad-request` with a pointer (RFC 6901, within the query, the path's parameters or the body) per fault.
 */
export const parseInput = <S extends z.ZodType>(schema: S, value: unknown, where: string): z.output<S> => {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.slice(0, MAX_FAULTS).map(faultOf);
  const summary = errors.map(({pointer, detail}) => (pointer === '' ? detail : `${pointer}: ${detail}`)).join('; ');
  throw new AppError('bad-request', `The ${where} cannot be used: ${summary}.`, {errors});
};

/** Of a body that its schema takes and that cannot be used all the same. */
export const badMember = (pointer: string, detail: string): AppError =>
  new AppError('bad-request', `The body cannot be used: ${pointer}: ${detail}.`, {errors: [{pointer, detail}]});

/** Of a body. */
export const storableText = z.string().refine(isStorableText, 'has a character that cannot be stored');

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
