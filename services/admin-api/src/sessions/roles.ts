import type {Role} from '@pisync/core/devices/tokens';

/** Every role. An auditor reads everything and changes nothing. */
export const ROLES = ['viewer', 'operator', 'admin', 'auditor'] as const satisfies readonly Role[];

/** What an operation asks of its caller. */
export type Access = 'anyone' | 'read' | 'operate' | 'audit' | 'administer';

const ALLOWED: Readonly<Record<Access, readonly Role[]>> = {
  anyone: ROLES,
  read: ROLES,
  operate: ['operator', 'admin'],
  audit: ['admin', 'auditor'],
  administer: ['admin'],
};

export const rolesFor = (access: Access): readonly Role[] => ALLOWED[access];
