import {type Violation} from './laws.ts';

/** What the product does not promise. Seeds in which it happens tell it, and do not fail. */
interface KnownViolation {
  readonly name: string;
  readonly why: string;
  readonly matches: (violation: Violation, world: WhatHappened) => boolean;
}

export interface WhatHappened {
  /** Devices of a shard that came back from a backup. */
  readonly ofRestoredShards: ReadonlySet<string>;
  /** By the broker. */
  readonly hasLostMessages: boolean;
  /** Devices whose card was replaced, restored or copied. */
  readonly copied: ReadonlySet<string>;
  /** Batches by {@link misledName}: a copy of the call came through, and the call itself got a page that names no call. */
  readonly misled: ReadonlySet<string>;
  /** Long batches came through no more. */
  readonly isNarrow: boolean;
  /** Devices whose card lost an entry. */
  readonly damaged: ReadonlySet<string>;
}

export const misledName = (deviceId: string, epoch: string, batchSeq: number): string =>
  `${deviceId} ${epoch}/${batchSeq}`;

export const KNOWN_VIOLATIONS: readonly KnownViolation[] = [
  {
    name: 'a shard restored from a backup',
    why: 'what it had applied since is lost with it, and nobody else keeps it: devices forget what is applied. Replication is what protects from it.',
    matches: ({device}, {ofRestoredShards}) => device !== undefined && ofRestoredShards.has(device),
  },
  {
    name: 'a broker that lost its data, and a card too',
    why: 'what was accepted and not applied is on the broker and on the card. Replication of the broker is what protects from it.',
    matches: ({law, device}, {hasLostMessages, copied, damaged}) =>
      law === 'what was acked is stored' &&
      hasLostMessages &&
      device !== undefined &&
      (copied.has(device) || damaged.has(device)),
  },
  {
    name: 'a copied card behind a way that became narrow',
    why: 'what comes through no more is believed to be applied when its number is, and a copy may have used that number.',
    matches: ({law, device}, {copied, isNarrow}) =>
      law === 'every reading arrives' && isNarrow && device !== undefined && copied.has(device),
  },
  {
    name: 'a way that became narrow between two tries of one call',
    why: 'the first try was taken, and a page says of the second that it is too large. It names no call, so the device numbers half of it anew. Both are kept.',
    matches: ({law, device = '', detail}, {misled}) =>
      [...misled].some((name) =>
        law === 'no reading comes twice'
          ? name.startsWith(`${device} `)
          : law === 'no number is used twice' && `${device} ${detail}` === `${name} came with two contents (conflict)`,
      ),
  },
];

export const knownViolation = (violation: Violation, world: WhatHappened): string | undefined =>
  KNOWN_VIOLATIONS.find(({matches}) => matches(violation, world))?.name;
