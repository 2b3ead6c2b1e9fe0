// The values that the filters of lists take, as the server names them; '' in a filter is all of them.
import type { paths } from '@shared/api/wire.d.ts';

type Query<Path extends keyof paths> = paths[Path] extends { get: { parameters: { query?: infer Parameters } } }
  ? NonNullable<Parameters>
  : never;

export type VisitKind = NonNullable<Query<'/desk/v1/due'>['kind']>;
export type NoticeKind = NonNullable<Query<'/desk/v1/announcements'>['kind']>;
export type CaseState = NonNullable<Query<'/desk/v1/cases'>['state']>;
export type SpotCheckState = NonNullable<Query<'/desk/v1/spot-checks'>['state']>;
