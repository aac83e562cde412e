import {z} from 'zod';

/** A whole number within bounds, written in decimal digits. */
export const integer = (min: number, max: number) =>
  z
    .string({error: 'is required'})
    .regex(/^-?\d{1,15}$/, {error: 'must be a whole number in digits'})
    .transform(Number)
    .pipe(
      z
        .int({error: 'must be a whole number'})
        .min(min, {error: `must be at least ${min}`})
        .max(max, {error: `must be at most ${max}`}),
    );

/** A decimal number within bounds, as people and JavaScript write them (`0.01`, `1e-7`). */
export const decimal = (min: number, max: number) =>
  z
    .string({error: 'is required'})
    .regex(/^-?\d{1,15}(\.\d{1,17})?(e[+-]\d{1,3})?$/, {error: 'must be a decimal number'})
    .transform(Number)
    .pipe(
      z
        .number()
        .min(min, {error: `must be at least ${min}`})
        .max(max, {error: `must be at most ${max}`}),
    );

export const text = () => z.string({error: 'is required'}).min(1);
