import {type ReactNode, useRef} from 'react';
import {useApi} from '../api/api-context.ts';
import {type Group, STATUSES} from '../api/types.ts';
import {STATUS_LABELS} from '../devices/status.tsx';
import {PagedTable, type TableColumn} from '../layout/paged-table.tsx';
import {Question} from '../layout/question.tsx';
import {Link} from '../navigation/navigation.tsx';
import {devicesHref} from '../navigation/view.ts';
import {mayAdminister, useSession} from '../session/session-context.ts';
import {useSignedChange} from '../session/use-signed-change.ts';
import {visibleGroup} from '../text/visible-name.ts';
import {EditGroup} from './edit-group.tsx';
import {GroupForm} from './group-form.tsx';
import {GROUPS_KEY, useChangedGroups} from './use-changed-groups.ts';

/** How the devices of the region are grouped. */
export const GroupsPage = (): ReactNode => {
  const api = useApi();
  const session = useSession();
  const heading = useRef<HTMLHeadingElement>(null);
  const mayChange = mayAdminister(session) && session.groups === null;
  const action: TableColumn<Group> = {
    title: 'Action',
    cell: (group) => (
      <span className="actions">
        <EditGroup group={group} />
        {/* Its button goes with it. */}
        <DeleteGroup group={group} onDeleted={() => heading.current?.focus()} />
      </span>
    ),
  };
  return (
    <>
      <div className="page-head">
        <h1>Groups</h1>
      </div>
      <section className="panel token-kind" data-testid="groups">
        <h2 ref={heading} tabIndex={-1}>
          {session.groups === null ? 'All groups' : 'Your groups'}
        </h2>
        <p className="faint">
          A device is in exactly one static group. A dynamic group is of whatever devices its filter finds.
        </p>
        {mayChange ? <GroupForm /> : null}
        <PagedTable
          queryKey={GROUPS_KEY}
          read={(cursor, signal) => api.groups(cursor, signal)}
          what="groups"
          title="Groups"
          testId="list-of-groups"
          columns={mayChange ? [...COLUMNS, action] : COLUMNS}
          rowKey={({id}) => String(id)}
          empty="There are no groups"
          order={{begin: 'first', further: 'further'}}
        />
      </section>
    </>
  );
};

const integer = new Intl.NumberFormat();

const Devices = ({group: {name, count}}: {readonly group: Group}): ReactNode => {
  if (count.atLeast && count.value === 0) return <span className="faint">not counted yet</span>;
  const sure = count.atLeast ? 'at least ' : count.exact ? '' : 'about ';
  return <Link href={devicesHref({group: name})}>{`${sure}${integer.format(count.value)}`}</Link>;
};

const COLUMNS: readonly TableColumn<Group>[] = [
  {
    title: 'Group',
    cell: ({name}) => (
      <Link href={devicesHref({group: name})}>
        <bdi>{visibleGroup(name)}</bdi>
      </Link>
    ),
  },
  {
    title: 'Kind',
    cell: ({filter}) =>
      filter === null ? (
        'static'
      ) : (
        <>
          dynamic <bdi className="mono group-filter">{filter}</bdi>
        </>
      ),
  },
  {title: 'Devices', numeric: true, cell: (group) => <Devices group={group} />},
  ...STATUSES.map((status): TableColumn<Group> => {
    const title = STATUS_LABELS[status];
    return {
      title,
      numeric: true,
      cell: ({name, count}) => {
        const devices = count.byStatus[status];
        if (devices === 0) return <span className="faint">{count.atLeast ? '–' : '0'}</span>;
        const text = integer.format(devices);
        return (
          <Link href={devicesHref({group: name, status})} aria-label={`${text} ${title} in ${visibleGroup(name)}`}>
            {text}
          </Link>
        );
      },
    };
  }),
];

const DeleteGroup = ({group, onDeleted}: {readonly group: Group; readonly onDeleted: () => void}): ReactNode => {
  const api = useApi();
  const change = useSignedChange();
  const changed = useChangedGroups();
  const name = visibleGroup(group.name);
  return (
    <Question
      action="Delete"
      label={`Delete ${name}`}
      title={`Delete “${name}”?`}
      no="Keep it"
      yes="Delete it"
      doing="Deleting…"
      act={() => change((csrfToken) => api.deleteGroup(group.id, csrfToken))}
      onDone={() => {
        onDeleted();
        changed();
      }}
    >
      {group.kind === 'dynamic'
        ? 'Its devices stay as they are.'
        : 'It is refused while devices are in it, or tokens are for it.'}{' '}
      It cannot be taken back.
    </Question>
  );
};
