import {useQuery} from '@tanstack/react-query';
import {type ReactNode, useEffect, useRef} from 'react';
import {useApi} from '../api/api-context.ts';
import {type DeviceFilter, markOf, MARKS} from '../api/client.ts';
import {STATUSES} from '../api/types.ts';
import {useGroups} from '../groups/use-groups.ts';
import {Menu} from '../layout/menu.tsx';
import {Link, useNavigation} from '../navigation/navigation.tsx';
import {devicesHref} from '../navigation/view.ts';
import {SUMMARY_QUERY_KEY} from '../summary/summary-query.ts';
import {visibleGroup} from '../text/visible-name.ts';
import {type Column, COLUMNS, toggledColumns} from './columns.ts';
import {STATUS_LABELS, STATUS_MEANINGS, StatusMark} from './status.tsx';

interface FiltersProps {
  readonly filter: DeviceFilter;
  readonly columns: readonly Column[];
  readonly columnNames: readonly string[] | null;
}

/** What the list shows, as links and selects that only ever write the URL. */
export const Filters = ({filter, columns, columnNames}: FiltersProps): ReactNode => (
  <div className="filters" role="group" aria-label="Filters">
    <Search filter={filter} columnNames={columnNames} />
    <div className="chips" role="group" aria-label="Status">
      <Chip href={devicesHref({...filter, status: undefined}, columnNames)} on={filter.status === undefined}>
        Any
      </Chip>
      {STATUSES.map((status) => (
        <Chip
          key={status}
          href={devicesHref({...filter, status}, columnNames)}
          on={filter.status === status}
          title={STATUS_MEANINGS[status]}
        >
          <StatusMark status={status} />
          {STATUS_LABELS[status]}
        </Chip>
      ))}
    </div>
    <Choices filter={filter} columnNames={columnNames} />
    <ColumnChooser filter={filter} columns={columns} />
  </div>
);

/** As long as people pause while they type. */
const TYPED_MS = 300;

const Search = ({
  filter,
  columnNames,
}: {
  readonly filter: DeviceFilter;
  readonly columnNames: readonly string[] | null;
}): ReactNode => {
  const {go} = useNavigation();
  const field = useRef<HTMLInputElement>(null);
  /** Runs while what is typed is not searched for yet. */
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const stop = (): void => {
    clearTimeout(timer.current);
    timer.current = undefined;
  };
  useEffect(() => stop, []);
  const search = (): void => {
    stop();
    const text = field.current?.value.trim() ?? '';
    go(devicesHref({...filter, q: text === '' ? undefined : text}, columnNames), {replace: true});
  };
  const latestSearch = useRef(search);
  useEffect(() => {
    latestSearch.current = search;
  });
  // The address may change without it. What is typed meanwhile is searched for there, too.
  useEffect(() => {
    const input = field.current;
    if (input === null || timer.current !== undefined) return;
    if (input.value.trim() !== (filter.q ?? '')) input.value = filter.q ?? '';
  }, [filter.q]);
  return (
    <form
      role="search"
      className="choice"
      onSubmit={(event) => {
        event.preventDefault();
        search();
      }}
    >
      <input
        ref={field}
        type="search"
        aria-label="Search devices"
        placeholder="Name, hardware id or id"
        maxLength={128}
        defaultValue={filter.q}
        onChange={() => {
          clearTimeout(timer.current);
          timer.current = setTimeout(() => latestSearch.current(), TYPED_MS);
        }}
      />
    </form>
  );
};

const Chip = ({
  href,
  on,
  title,
  children,
}: {
  readonly href: string;
  readonly on: boolean;
  readonly title?: string;
  readonly children: ReactNode;
}): ReactNode => (
  <Link href={href} replace className="chip" aria-current={on ? 'true' : undefined} title={title}>
    {children}
  </Link>
);

const MARK_LABELS: Readonly<Record<(typeof MARKS)[number], string>> = {
  revoked: 'Revoked',
  decommissioned: 'Decommissioned',
  disputed: 'Two machines',
};
const MARK_OPTIONS = MARKS.map((mark) => ({value: mark, label: MARK_LABELS[mark]}));

const Choices = ({
  filter,
  columnNames,
}: {
  readonly filter: DeviceFilter;
  readonly columnNames: readonly string[] | null;
}): ReactNode => {
  const api = useApi();
  const {go} = useNavigation();
  const summary = useQuery({queryKey: SUMMARY_QUERY_KEY, queryFn: ({signal}) => api.summary(signal)});
  const groups = useGroups().map(({name, kind}) => ({
    value: name,
    label: kind === 'dynamic' ? `${visibleGroup(name)} (dynamic)` : visibleGroup(name),
  }));
  const shards = (summary.data?.byShard ?? []).map((row) => ({value: String(row.shard), label: `shard-${row.shard}`}));
  const choose = (change: DeviceFilter): void => go(devicesHref({...filter, ...change}, columnNames), {replace: true});
  return (
    <>
      <Choice label="Group" value={filter.group} options={groups} choose={(group) => choose({group})} />
      <Choice label="Shard" value={filter.shard} options={shards} choose={(shard) => choose({shard})} />
      <Choice label="Only" value={filter.mark} options={MARK_OPTIONS} choose={(mark) => choose({mark: markOf(mark)})} />
    </>
  );
};

const Choice = ({
  label,
  value,
  options,
  choose,
}: {
  readonly label: string;
  readonly value: string | undefined;
  readonly options: readonly {readonly value: string; readonly label: string}[];
  readonly choose: (value: string | undefined) => void;
}): ReactNode => {
  // A value from the URL stays choosable although the counts do not know it (yet).
  const known = value === undefined || options.some((option) => option.value === value);
  return (
    <label className="choice">
      <span>{label}</span>
      <select
        value={choiceOf(value)}
        onChange={(event) => choose(event.target.value === ANY ? undefined : event.target.value.slice(1))}
      >
        <option value={ANY}>Any</option>
        {known ? null : <option value={choiceOf(value)}>{visibleGroup(value)}</option>}
        {options.map((option) => (
          <option key={option.value} value={choiceOf(option.value)}>
            {option.label}
          </option>
        ))}
      </select>
    </label>
  );
};

const ANY = '';
/** Told apart from no choice also where it is empty. */
const choiceOf = (value: string | undefined): string => (value === undefined ? ANY : `=${value}`);

const ColumnChooser = ({
  filter,
  columns,
}: {
  readonly filter: DeviceFilter;
  readonly columns: readonly Column[];
}): ReactNode => {
  const {stay} = useNavigation();
  return (
    <Menu title="Columns" legend="Columns of the list">
      {COLUMNS.map((column) => (
        <label key={column.key}>
          <input
            type="checkbox"
            checked={columns.includes(column)}
            onChange={() => stay(devicesHref(filter, toggledColumns(columns, column.key)))}
          />
          {column.title}
        </label>
      ))}
    </Menu>
  );
};
