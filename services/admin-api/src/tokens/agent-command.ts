import type {Reached} from '../http/route.ts';

/** Where docs/examples/pisync-agent.service looks for them. */
const TOKEN_FILE = '/etc/pisync/enrolment-token';
const STATE_DIR = '/var/lib/pisync';
const AGENT = '/opt/pisync/services/agent/src/pi/main.ts';

/** Where devices reach the region: by their own host, and as this caller reaches it, because one proxy leads to both. */
export const syncUrl = (deviceHost: string, {secure, port}: Reached): string =>
  `${secure ? 'https' : 'http'}://${deviceHost}${port === undefined ? '' : `:${port}`}`;

/** What makes a Raspberry Pi a device of the region, in one line for its shell. The token is no argument of a program, which others on the machine could see. */
export const agentCommand = (token: string, url: string): string =>
  [
    `echo ${token} | sudo install -D -m 600 /dev/stdin ${TOKEN_FILE}`,
    `sudo node ${AGENT} --url ${url} --enrolment-token-file ${TOKEN_FILE} --state-dir ${STATE_DIR}`,
  ].join(' && ');
