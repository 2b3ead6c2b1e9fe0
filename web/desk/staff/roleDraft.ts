// A role that is being written in a form.
import type { components } from '@shared/api/wire.d.ts';
import { getOwnArea, type Role } from '../permissions.ts';

export interface RoleDraft {
  role: Role | '';
  /** Empty: the person's own area. */
  area: string;
  endsOn: string;
}

export function createRoleDraft(): RoleDraft {
  return { role: '', area: '', endsOn: '' };
}

export function buildRoleBody(draft: RoleDraft): components['schemas']['RoleBody'] {
  return { role: draft.role as Role, areaCode: draft.area || getOwnArea(), endsOn: draft.endsOn || null };
}
