/** What a device has to remember, on a disk that may be full. */
import type {Memory} from '../client/device.ts';
import type {Identity} from '../client/identity.ts';
import {saveIdentity} from './identity-file.ts';
import type {Spool} from './spool.ts';

/** @throws the error of a full disk, where not even the reserve is left: then nothing of it is written, and the device may try again. */
export const memoryOn = (folder: string, spool: Spool): Pick<Memory, 'saveIdentity' | 'append'> => {
  let unsaved: Identity | undefined;
  const save = async (identity: Identity): Promise<void> => {
    unsaved = identity;
    await spool.besides(() => saveIdentity(folder, identity));
    unsaved = undefined;
  };
  return {
    saveIdentity: save,
    async append(entries) {
      // A device goes on after a new credential was confirmed, and must not number in an epoch whose credential it would forget.
      if (unsaved !== undefined) await save(unsaved);
      await spool.append(entries);
    },
  };
};
