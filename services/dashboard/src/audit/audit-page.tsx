import type {ReactNode} from 'react';
import {useApi} from '../api/api-context.ts';
import type {AuditFilter} from '../api/client.ts';
import type {AuditEntry} from '../api/types.ts';
import {PagedTable, type TableColumn} from '../layout/paged-table.tsx';
import {Empty, Untitled} from '../layout/states.tsx';
import {Link} from '../navigation/navigation.tsx';
import {auditHref, deviceHref} from '../navigation/view.ts';
import {mayAudit, useSession} from '../session/session-context.ts';
import {jsonText} from '../text/json-text.ts';
import {visibleGroup, visibleName} from '../text/visible-name.ts';
import {Moment} from '../time/time.tsx';
import {AuditFilters} from './audit-filters.tsx';
import {CheckPanel} from './check-panel.tsx';
import {actionInWords, changesOf} from './words.ts';

/** Who did what in the region. */
export const AuditPage = ({filter}: {readonly filter: AuditFilter}): ReactNode => {
  const api = useApi();
  const session = useSession();
  if (!mayAudit(session)) {
    return (
      <Untitled title="Audit">
        <Empty title="The audit is for administrators and auditors">
          Your role ({session.role}) may not see what others did.
        </Empty>
      </Untitled>
    );
  }
  return (
    <>
      <div className="page-head">
        <h1>Audit</h1>
      </div>
      {/* It is checked as a whole. */}
      {session.groups === null ? <CheckPanel /> : null}
      <section className="panel audit">
        <h2>What people did</h2>
        <AuditFilters key={auditHref(filter)} filter={filter} />
        <PagedTable
          key={JSON.stringify(filter)}
          queryKey={['audit', JSON.stringify(filter)]}
          read={(cursor, signal) => api.audit(filter, cursor, signal)}
          what="audit"
          title="What people did"
          testId="audit-entries"
          columns={COLUMNS}
          rowKey={({id}) => id}
          empty="Nobody did anything like that"
          lacking={(shards) => `${shards.join(', ')} did not answer: what was done there just now is missing.`}
        />
      </section>
    </>
  );
};

const Who = ({entry}: {readonly entry: AuditEntry}): ReactNode => (
  <>
    <Link href={auditHref({actor: entry.actor})}>
      <bdi>{visibleName(entry.actor, entry.actorTokenId ?? 'somebody')}</bdi>
    </Link>{' '}
    <span className="faint">
      {entry.role}
      {entry.address === null ? null : `, from ${entry.address}`}
    </span>
  </>
);

const What = ({entry: {objectKind, objectId}}: {readonly entry: AuditEntry}): ReactNode => (
  <>
    <span className="faint">{objectKind}</span>{' '}
    <Link
      className="mono"
      href={objectKind === 'device' ? deviceHref(objectId) : auditHref({objectId})}
      title={objectId}
    >
      {objectId.slice(0, 8)}
    </Link>
  </>
);

const Changes = ({entry}: {readonly entry: AuditEntry}): ReactNode => {
  const changes = changesOf(entry);
  if (changes.length === 0) return null;
  return (
    <ul className="audit-changes">
      {changes.map(({field, from, to}) => (
        <li key={field}>
          <span className="faint">{field}</span>{' '}
          <bdi className="wrap">
            {from === undefined ? null : jsonText(from)}
            {from !== undefined && to !== undefined ? ' → ' : null}
            {to === undefined ? null : jsonText(to)}
          </bdi>
        </li>
      ))}
    </ul>
  );
};

const COLUMNS: readonly TableColumn<AuditEntry>[] = [
  {title: 'When', cell: ({at}) => <Moment at={at} />},
  {title: 'Who', cell: (entry) => <Who entry={entry} />},
  {title: 'Did', cell: ({action}) => actionInWords(action)},
  {title: 'To', cell: (entry) => <What entry={entry} />},
  {title: 'Groups', cell: ({groups}) => groups?.map(visibleGroup).join(', ') ?? <span className="faint">region</span>},
  {title: 'Change', cell: (entry) => <Changes entry={entry} />},
  {
    title: 'Chain',
    numeric: true,
    cell: ({seq}) => seq ?? <span className="tone-late">pending</span>,
  },
];
