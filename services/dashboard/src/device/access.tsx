import {type ReactNode, useRef, useState} from 'react';
import {useApi} from '../api/api-context.ts';
import type {DeviceAction} from '../api/client.ts';
import type {Device} from '../api/types.ts';
import {Question} from '../layout/question.tsx';
import {mayAdminister, useSession} from '../session/session-context.ts';
import {useSignedChange} from '../session/use-signed-change.ts';
import {useChangedDevice} from './use-changed-device.ts';

interface Words {
  readonly action: string;
  readonly doing: string;
  readonly no: string;
  readonly consequence: string;
  readonly done: string;
}

const WORDS: Readonly<Record<DeviceAction, Words>> = {
  revoke: {
    action: 'Revoke',
    doing: 'Revoking…',
    no: 'Keep it',
    consequence: 'It is shut out within five seconds. What it has sent stays, and it can be reinstated.',
    done: 'Revoked.',
  },
  decommission: {
    action: 'Decommission',
    doing: 'Decommissioning…',
    no: 'Keep it',
    consequence:
      'It is out of service, and shut out within five seconds. What it has sent stays. A machine with its hardware id is refused until the device is reinstated.',
    done: 'Decommissioned.',
  },
  reinstate: {
    action: 'Reinstate',
    doing: 'Reinstating…',
    no: 'Leave it out',
    consequence: 'It is let in again, with the secret that it had.',
    done: 'Reinstated.',
  },
};

/** What can be done with the device as it is. */
const actionsOf = ({revokedAt, decommissionedAt}: Device): readonly DeviceAction[] => {
  if (decommissionedAt !== null) return ['reinstate'];
  return revokedAt === null ? ['revoke', 'decommission'] : ['reinstate', 'decommission'];
};

/** Shuts a device out and lets it in again, after a question. */
export const Access = ({device}: {readonly device: Device}): ReactNode => {
  const api = useApi();
  const session = useSession();
  const change = useSignedChange();
  const changed = useChangedDevice();
  const heading = useRef<HTMLHeadingElement>(null);
  const [done, setDone] = useState<string | null>(null);
  if (!mayAdminister(session)) return null;
  return (
    <section className="panel">
      <h2 ref={heading} tabIndex={-1}>
        Access
      </h2>
      <div className="access">
        {actionsOf(device).map((action) => {
          const {consequence, done: said, ...words} = WORDS[action];
          return (
            <Question
              key={action}
              {...words}
              title={`${words.action} this device?`}
              yes={`${words.action} it`}
              act={() => change((csrfToken) => api.setAccess(device.id, action, csrfToken))}
              onDone={(answer) => {
                // The button may be gone with the answer.
                heading.current?.focus();
                setDone(said);
                void changed(answer);
              }}
            >
              {consequence}
            </Question>
          );
        })}
      </div>
      <p className="result" role="status">
        {done}
      </p>
    </section>
  );
};
