import {z} from 'zod';
import {AppError} from '@pisync/core/errors/app-error';

/** The query parameter of every list by which a caller chooses what its rows have. */
export const fieldsQuery = (known: readonly string[]) =>
  z
    .string()
    .optional()
    .describe(`Only these, separated by commas: ${known.join(', ')}.`);

/** The fields that are asked for, and the id. @throws AppError `bad-request` that lists the known ones. */
export const parseFields = <F extends string>(
  text: string | undefined,
  known: readonly F[],
  byDefault: readonly F[],
): readonly (F | 'id')[] => {
  if (text === undefined) return byDefault;
  const isKnown = (name: string): name is F => known.some((field) => field === name);
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !isKnown(name));
  if (unknown.length > 0) {
    const detail = `knows no ${unknown.map((name) => `"${name}"`).join(', ')}; known are ${known.join(', ')}`;
    throw new AppError('bad-request', `The parameter fields ${detail}.`, {errors: [{pointer: '/fields', detail}]});
  }
  return [...new Set<F | 'id'>(['id', ...names.filter(isKnown)])];
};

/** A row of which a list shows these. */
export const chosen = <T extends object>(view: T, fields: readonly string[]): T =>
  // The schema of the answer asks for the id alone.
  Object.fromEntries(Object.entries(view).filter(([field]) => fields.includes(field))) as T;
