import {useQueryClient} from '@tanstack/react-query';
import {useEffect, useState} from 'react';
import type {SyncWish} from '../api/client.ts';
import {useSession} from '../session/session-context.ts';
import {SESSION_KEY, type SessionState} from '../session/session-state.ts';

const WISHES_KEY = 'wish';
const NOTHING_SPECIAL: SyncWish = {syncType: 'delta', force: false};

/** What the reader chose to ask the device for. It outlives the end of the session, for the same person; nothing else. */
export const useWish = (deviceId: string): readonly [SyncWish, (wish: SyncWish) => void] => {
  const queries = useQueryClient();
  const {name} = useSession();
  const [wish, setWish] = useState(
    () => queries.getQueryData<SyncWish>([WISHES_KEY, name, deviceId]) ?? NOTHING_SPECIAL,
  );
  useEffect(() => {
    queries.removeQueries({queryKey: [WISHES_KEY]});
    return () => {
      if (queries.getQueryData<SessionState>(SESSION_KEY) !== 'ended') return;
      // However long it takes until somebody signs in.
      queries.setQueryDefaults([WISHES_KEY], {gcTime: Infinity});
      queries.setQueryData<SyncWish>([WISHES_KEY, name, deviceId], wish);
    };
  }, [queries, name, deviceId, wish]);
  return [wish, setWish];
};
