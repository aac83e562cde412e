import {z} from 'zod';

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An object that has members of any name, also of `__proto__`, which `z.record` leaves out. @param value changes nothing that it reads */
export const recordOf = <V extends z.ZodType>(value: V): z.ZodType<Readonly<Record<string, z.output<V>>>> =>
  z
    .custom<Readonly<Record<string, z.output<V>>>>(isObject, 'is no object')
    .superRefine((members, context) => {
      for (const [name, member] of Object.entries(members)) {
        for (const issue of value.safeParse(member).error?.issues ?? []) {
          context.addIssue({code: 'custom', message: issue.message, path: [name, ...issue.path]});
        }
      }
    })
    .meta({type: 'object', additionalProperties: additionalOf(value)});

const additionalOf = (value: z.ZodType): object => {
  const {$schema: _, ...rest} = z.toJSONSchema(value, {io: 'input', unrepresentable: 'any'});
  return rest;
};
