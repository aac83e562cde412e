/** The device's secret and credential on disk, readable by its owner alone. */
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {z} from 'zod';
import type {Identity} from '../client/identity.ts';
import {isMissing, writeDurably} from './spool.ts';

const secretSchema = z.string().min(32);
const enrolledSchema = z.object({
  secret: secretSchema,
  deviceId: z.string(),
  credential: z.string(),
  epoch: z.string(),
  region: z.string(),
});
const identitySchema = z
  .object({
    hardwareId: z.string().min(1),
    current: enrolledSchema.exactOptional(),
    pending: z.union([enrolledSchema, z.object({secret: secretSchema})]).exactOptional(),
  })
  .refine(({current, pending}) => (current ?? pending) !== undefined);

const pathIn = (folder: string): string => join(folder, 'identity.json');

export const saveIdentity = (folder: string, identity: Identity): Promise<void> =>
  writeDurably(pathIn(folder), `${JSON.stringify(identity, null, 2)}\n`);

/**
 * @returns undefined when there is none, or when it is not readable: then the device makes a new secret, and with it takes a new epoch, in which no number was ever used.
 */
export const loadIdentity = async (folder: string): Promise<Identity | undefined> => {
  let text: string;
  try {
    text = await readFile(pathIn(folder), 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    return identitySchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
};
