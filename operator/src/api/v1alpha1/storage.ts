import {z} from 'zod';
import {dnsName} from './object-name.ts';
import {byteSize} from './quantity.ts';

/** A persistent volume of `owner`. The rules about change are in rules.ts. */
export const storage = (owner: string, size: string) =>
  z
    .object({
      size: byteSize
        .default(size)
        .describe(
          'Size of the volume, e.g. `50Gi`. It may grow, if the storage class allows expansion, and be taken back as far as no volume has grown (`status`).',
        ),
      className: dnsName
        .optional()
        .describe(
          "Storage class. Default: the cluster's own default class. It cannot be changed, added or removed later.",
        ),
    })
    .prefault({})
    .describe(`The volume of ${owner}.`);

export type Storage = z.output<ReturnType<typeof storage>>;
