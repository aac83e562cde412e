import {useQuery} from '@tanstack/react-query';
import type {ReactNode} from 'react';
import {useApi} from '../api/api-context.ts';
import {pollMs} from '../api/retry.ts';
import {STATUSES, type Status, type Summary} from '../api/types.ts';
import {STATUS_LABELS, STATUS_MEANINGS, StatusMark} from '../devices/status.tsx';
import {AsOf, Empty, Failed, Loading, NotKnown, PartialNotice, Untitled} from '../layout/states.tsx';
import {Link} from '../navigation/navigation.tsx';
import {devicesHref} from '../navigation/view.ts';
import {visibleGroup} from '../text/visible-name.ts';
import {Ago} from '../time/time.tsx';
import {Breakdown} from './breakdown.tsx';
import {Proportions, shareText} from './proportions.tsx';
import {SUMMARY_QUERY_KEY, summaryRefetchMs} from './summary-query.ts';

const integer = new Intl.NumberFormat();

export const SummaryPage = (): ReactNode => {
  const api = useApi();
  const summary = useQuery({
    queryKey: SUMMARY_QUERY_KEY,
    queryFn: ({signal}) => api.summary(signal),
    refetchInterval: ({state}) => pollMs(summaryRefetchMs(state.data?.ageSeconds), state.error),
  });
  if (summary.data === undefined) {
    return (
      <Untitled title="Summary">
        {summary.error === null ? (
          <Loading what="the region" />
        ) : (
          <Failed what="region" error={summary.error} retry={() => void summary.refetch()} />
        )}
      </Untitled>
    );
  }
  return <SummaryView summary={summary.data} stale={summary.isError} askAgain={() => void summary.refetch()} />;
};

const SummaryView = ({
  summary,
  stale,
  askAgain,
}: {
  readonly summary: Summary;
  readonly stale: boolean;
  readonly askAgain: () => void;
}): ReactNode => {
  const missing = (summary.partial ?? []).filter((shard) => countOf(summary, shard) === undefined);
  const isUnknown = summary.devices === 0 && missing.length > 0;
  return (
    <>
      <div className="page-head">
        <h1>Region {summary.region}</h1>
        <AsOf at={summary.asOf} stale={stale} />
      </div>
      <OldCounts summary={summary} />
      {isUnknown ? null : <PartialNotice shards={missing} />}
      <section className="tiles" aria-label="Devices by status" data-testid="summary-tiles">
        <Link href={devicesHref()} className="tile tile-total" data-testid="tile-devices">
          <span className="tile-label">Devices</span>
          <span className="tile-number">{isUnknown ? '–' : integer.format(summary.devices)}</span>
          {isUnknown ? null : <Proportions counts={summary.byStatus} total={summary.devices} />}
        </Link>
        {STATUSES.map((status) => (
          <StatusTile
            key={status}
            status={status}
            count={isUnknown ? null : summary.byStatus[status]}
            total={summary.devices}
          />
        ))}
      </section>
      {isUnknown ? (
        <NotKnown title="Nobody knows now how many devices there are" shards={missing} askAgain={askAgain} />
      ) : summary.devices === 0 ? (
        <Empty title="No device has enrolled yet">
          Give a device the enrolment token of this region; it appears here as pending, then on time after its first
          sync.
        </Empty>
      ) : (
        <div className="breakdowns">
          <Breakdown
            title="By group"
            of="Group"
            rows={summary.byGroup.map((row) => ({...row, label: visibleGroup(row.group), filter: {group: row.group}}))}
          />
          <Breakdown
            title="By shard"
            of="Shard"
            rows={summary.byShard.map((row) => ({
              ...row,
              label: `shard-${row.shard}`,
              filter: {shard: String(row.shard)},
            }))}
          />
        </div>
      )}
    </>
  );
};

const countOf = ({byShard}: Summary, name: string): Summary['byShard'][number] | undefined =>
  byShard.find(({shard}) => `shard-${shard}` === name);

/** Shards that did not answer and are counted as they were when they last did. */
const OldCounts = ({summary}: {readonly summary: Summary}): ReactNode => {
  const old = (summary.partial ?? []).flatMap((name) => countOf(summary, name) ?? []);
  return old.length === 0 ? null : (
    <div className="notice" role="status">
      {old.map(({shard, asOf}) => (
        <p key={shard}>
          <strong>shard-{shard} does not answer.</strong> Its devices are counted as they were <Ago at={asOf} />.
        </p>
      ))}
    </div>
  );
};

const StatusTile = ({
  status,
  count,
  total,
}: {
  readonly status: Status;
  /** Null where nobody knows it. */
  readonly count: number | null;
  readonly total: number;
}): ReactNode => (
  <Link
    href={devicesHref({status})}
    className={count === 0 || count === null ? 'tile tile-zero' : 'tile'}
    title={STATUS_MEANINGS[status]}
    data-testid={`tile-${status}`}
  >
    <span className="tile-label">
      <StatusMark status={status} />
      {STATUS_LABELS[status]}
    </span>
    <span className="tile-number">{count === null ? '–' : integer.format(count)}</span>
    <span className="faint">{count === null ? 'not known now' : shareText(count, total)}</span>
  </Link>
);
