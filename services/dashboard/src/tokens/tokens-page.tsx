import {type ReactNode, useRef} from 'react';
import {useApi} from '../api/api-context.ts';
import type {TokenLists} from '../api/client.ts';
import type {ApiToken, EnrolmentToken, MadeToken} from '../api/types.ts';
import {PagedTable, type TableColumn} from '../layout/paged-table.tsx';
import {Empty, Untitled} from '../layout/states.tsx';
import {Link} from '../navigation/navigation.tsx';
import {devicesHref} from '../navigation/view.ts';
import {mayAdminister, mayAudit, useSession} from '../session/session-context.ts';
import {visibleGroup, visibleName} from '../text/visible-name.ts';
import {Ago} from '../time/time.tsx';
import {ApiTokenForm, EnrolmentTokenForm} from './forms.tsx';
import {MadeTokenView} from './made-token.tsx';
import {useMadeToken} from './made-tokens.tsx';
import {Revoke} from './revoke.tsx';

/** With what devices come into the region, and people and scripts call it. */
export const TokensPage = (): ReactNode => {
  const session = useSession();
  if (!mayAudit(session)) {
    return (
      <Untitled title="Tokens">
        <Empty title="Tokens are for administrators">Your role ({session.role}) may not see them.</Empty>
      </Untitled>
    );
  }
  return (
    <>
      <div className="page-head">
        <h1>Tokens</h1>
      </div>
      <TokenKind
        kind="enrolment-tokens"
        title="Enrolment tokens"
        about="Devices enrol with them, and come into their group."
        consequence="No further device enrols with it. Those that it let in stay."
        columns={ENROLMENT_COLUMNS}
        Form={EnrolmentTokenForm}
      />
      <TokenKind
        kind="api-tokens"
        title="API tokens"
        about="People sign in with them, and scripts call the API."
        consequence="Whoever uses it is shut out within five seconds, signed in or not."
        columns={API_COLUMNS}
        Form={ApiTokenForm}
      />
    </>
  );
};

const TokenKind = <K extends keyof TokenLists>({
  kind,
  title,
  about,
  consequence,
  columns,
  Form,
}: {
  readonly kind: K;
  readonly title: string;
  readonly about: string;
  readonly consequence: string;
  readonly columns: readonly TableColumn<TokenLists[K]>[];
  readonly Form: (props: {readonly onMade: (made: MadeToken) => void}) => ReactNode;
}): ReactNode => {
  const api = useApi();
  const session = useSession();
  const heading = useRef<HTMLHeadingElement>(null);
  const [made, setMade] = useMadeToken(kind);
  /** Where what had the focus goes. */
  const focusHeading = (): void => heading.current?.focus();
  const action: TableColumn<TokenLists[K]> = {
    title: 'Action',
    cell: ({id, name, revokedAt}) =>
      revokedAt === null ? (
        <Revoke kind={kind} id={id} name={visibleName(name, id)} consequence={consequence} onRevoked={focusHeading} />
      ) : null,
  };
  return (
    <section className="panel token-kind" data-testid={kind}>
      <h2 ref={heading} tabIndex={-1}>
        {title}
      </h2>
      <p className="faint">{about}</p>
      {!mayAdminister(session) ? null : made === null ? (
        <Form onMade={setMade} />
      ) : (
        <MadeTokenView
          made={made}
          done={() => {
            setMade(null);
            focusHeading();
          }}
        />
      )}
      <PagedTable
        queryKey={['tokens', kind]}
        read={(cursor, signal) => api.tokens(kind, cursor, signal)}
        what="tokens"
        title={title}
        testId={`list-of-${kind}`}
        columns={mayAdminister(session) ? [...columns, action] : columns}
        rowKey={({id}) => id}
        empty="Nobody has made one yet"
      />
    </section>
  );
};

const STATE_TONES = {valid: 'on_time', 'used-up': 'late', expired: 'silent', revoked: 'failing'} as const;

const State = ({state}: {readonly state: keyof typeof STATE_TONES}): ReactNode => (
  <span className={`tone-${STATE_TONES[state]}`}>{state === 'used-up' ? 'used up' : state}</span>
);

const Made = ({token}: {readonly token: EnrolmentToken | ApiToken}): ReactNode => (
  <>
    <Ago at={token.createdAt} /> <span className="faint">by {visibleName(token.createdBy, 'somebody')}</span>
  </>
);

const integer = new Intl.NumberFormat();

const ENROLMENT_COLUMNS: readonly TableColumn<EnrolmentToken>[] = [
  {title: 'Name', cell: ({name, id}) => visibleName(name, id)},
  {title: 'State', cell: ({state}) => <State state={state} />},
  {title: 'Group', cell: ({group}) => <Link href={devicesHref({group})}>{visibleGroup(group)}</Link>},
  {
    title: 'Devices',
    numeric: true,
    cell: ({devices, maxDevices}) =>
      maxDevices === null ? integer.format(devices) : `${integer.format(devices)} of ${integer.format(maxDevices)}`,
  },
  {title: 'Expires', cell: ({expiresAt}) => <Ago at={expiresAt} />},
  {title: 'Made', cell: (token) => <Made token={token} />},
];

const API_COLUMNS: readonly TableColumn<ApiToken>[] = [
  {title: 'Name', cell: ({name, id}) => visibleName(name, id)},
  {title: 'State', cell: ({state}) => <State state={state} />},
  {title: 'Role', cell: ({role}) => role},
  {title: 'Groups', cell: ({groups}) => groups?.map(visibleGroup).join(', ') ?? <span className="faint">all</span>},
  {title: 'Expires', cell: ({expiresAt}) => <Ago at={expiresAt} />},
  {title: 'Made', cell: (token) => <Made token={token} />},
];
