import {useMutation, useQueryClient} from '@tanstack/react-query';
import {type ReactNode, useState} from 'react';
import {useApi} from '../api/api-context.ts';
import type {SyncWish} from '../api/client.ts';
import type {Device} from '../api/types.ts';
import {Link} from '../navigation/navigation.tsx';
import {deviceHref} from '../navigation/view.ts';
import {mayOperate, useSession} from '../session/session-context.ts';
import {useSignedChange} from '../session/use-signed-change.ts';

/** The broker has the request at once; a worker makes a command of it within moments. */
const COMMAND_AFTER_MS = 1_000;

/** Asks the device to sync with its next call; who may only look sees why it is not offered. */
export const SyncNow = ({device}: {readonly device: Device}): ReactNode => {
  const api = useApi();
  const session = useSession();
  const change = useSignedChange();
  const queries = useQueryClient();
  const [wish, setWish] = useState<SyncWish>({syncType: 'delta', force: false});
  const request = useMutation({
    mutationFn: () => change((csrfToken) => api.requestSync(device.id, wish, csrfToken)),
    onSuccess: () => {
      // An older page of a list that is on its way is waited for.
      const read = () => queries.invalidateQueries({queryKey: ['device', device.id]}, {cancelRefetch: false});
      setTimeout(() => void read(), COMMAND_AFTER_MS);
    },
  });
  const allowed = mayOperate(session) && device.revokedAt === null;
  return (
    <section className="panel">
      <h2>Sync now</h2>
      {allowed ? (
        <form
          className="sync-now"
          onSubmit={(event) => {
            event.preventDefault();
            if (!request.isPending) request.mutate();
          }}
        >
          <fieldset>
            <legend className="visually-hidden">What to send</legend>
            <label>
              <input
                type="radio"
                name="syncType"
                checked={wish.syncType === 'delta'}
                onChange={() => setWish({...wish, syncType: 'delta'})}
              />
              What is new
            </label>
            <label>
              <input
                type="radio"
                name="syncType"
                checked={wish.syncType === 'full'}
                onChange={() => setWish({...wish, syncType: 'full'})}
              />
              Everything
            </label>
            <label>
              <input
                type="checkbox"
                checked={wish.force}
                onChange={(event) => setWish({...wish, force: event.target.checked})}
              />
              Ahead of others
            </label>
          </fieldset>
          <button
            type="submit"
            className="button button-primary"
            aria-disabled={request.isPending}
            data-testid="sync-now"
          >
            {request.isPending ? 'Asking…' : 'Ask to sync'}
          </button>
        </form>
      ) : (
        <p className="faint">
          {device.revokedAt === null
            ? `Your role (${session.role}) may look; asking a device to sync needs operator or admin.`
            : 'This device is revoked and cannot sync.'}
        </p>
      )}
      <p className="result" role="status" data-testid="sync-now-result">
        {request.isSuccess ? (
          <>
            Queued. The device is told with its next call, see its{' '}
            <Link href={deviceHref(device.id, 'commands')} replace>
              commands
            </Link>
            . <span className="faint mono">{request.data.requestId}</span>
          </>
        ) : null}
      </p>
      {request.isError ? (
        <p className="field-error" role="alert">
          {request.error.message}
        </p>
      ) : null}
    </section>
  );
};
