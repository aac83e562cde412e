import {type SubmitEvent, type ReactNode} from 'react';
import {auditExportHref, type AuditFilter} from '../api/client.ts';
import {Link, useNavigation} from '../navigation/navigation.tsx';
import {auditHref} from '../navigation/view.ts';
import {localOf, momentOf} from './local-time.ts';
import {ACTIONS, actionInWords} from './words.ts';

/** Which entries are shown. It only ever writes the address. */
export const AuditFilters = ({filter}: {readonly filter: AuditFilter}): ReactNode => {
  const {go} = useNavigation();
  const show = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string): string | undefined => {
      const value = form.get(name);
      return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
    };
    go(
      auditHref({
        actor: text('actor'),
        action: text('action'),
        objectId: text('objectId'),
        since: momentOf(text('since') ?? ''),
        until: momentOf(text('until') ?? ''),
      }),
    );
  };
  const {actor, action, objectId, since, until} = filter;
  return (
    <form className="token-form" role="search" aria-label="Audit" onSubmit={show}>
      <label>
        Who
        <input type="text" name="actor" maxLength={256} placeholder="name of a token" defaultValue={actor} />
      </label>
      <label>
        Did
        <select name="action" defaultValue={action ?? ''}>
          <option value="">anything</option>
          {action === undefined || action in ACTIONS ? null : <option value={action}>{actionInWords(action)}</option>}
          {Object.entries(ACTIONS).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
      <label>
        To what
        <input type="text" name="objectId" maxLength={256} placeholder="whole id" defaultValue={objectId} />
      </label>
      <label>
        From
        <input type="datetime-local" name="since" defaultValue={localOf(since)} />
      </label>
      <label>
        Until
        <input type="datetime-local" name="until" defaultValue={localOf(until)} />
      </label>
      <button type="submit" className="button button-primary">
        Show
      </button>
      <Link className="button" href={auditHref()}>
        Show all
      </Link>
      {(['csv', 'ndjson'] as const).map((format) => (
        <a key={format} className="button" href={auditExportHref(filter, format)} download>
          Download {format.toUpperCase()}
        </a>
      ))}
    </form>
  );
};
