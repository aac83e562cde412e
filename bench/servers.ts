/** The servers that a benchmark runs against: the same as the integration tests'. */
export interface Servers {
  readonly postgres: URL;
  readonly amqp: URL;
  readonly redis: URL;
}

const SERVER_VARIABLES = {
  postgres: 'PISYNC_TEST_POSTGRES_URL',
  amqp: 'PISYNC_TEST_AMQP_URL',
  redis: 'PISYNC_TEST_REDIS_URL',
} as const;

/** @throws Error that names every variable that is missing or no URL. */
export const serversOf = (env: Readonly<Record<string, string | undefined>>): Servers => {
  const wrong = Object.values(SERVER_VARIABLES).filter((name) => !URL.canParse(env[name] ?? ''));
  if (wrong.length > 0) {
    throw new Error(
      `${wrong.join(', ')}: not set, or not a URL. "make bench" starts servers in the local cluster and sets them.`,
    );
  }
  const url = (name: string): URL => new URL(env[name] ?? '');
  return {
    postgres: url(SERVER_VARIABLES.postgres),
    amqp: url(SERVER_VARIABLES.amqp),
    redis: url(SERVER_VARIABLES.redis),
  };
};

export const portOf = (url: URL, usual: number): number => (url.port === '' ? usual : Number(url.port));
