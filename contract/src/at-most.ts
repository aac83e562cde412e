import {z} from 'zod';

/**
 * A list that is counted before its elements are looked at. Zod's own `max` comes after them, and what is wrong with each is kept until then: a list of a
 * million zeros took hundreds of megabytes to be refused.
 */
export const atMost = <T extends z.ZodType>(
  most: number,
  element: T,
): z.ZodPipe<z.ZodArray<z.ZodUnknown>, z.ZodArray<T>> => z.array(z.unknown()).max(most).pipe(z.array(element));
