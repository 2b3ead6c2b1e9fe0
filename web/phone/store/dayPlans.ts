// The caseworker's day plans: which visits on which day, in which order. The server's timetable proposes them and the
// caseworker may reorder them offline: local changes are stored, pushed first, and only then the server's plans are
// pulled. Between two phones of the same person the last write wins.
import { computed, type ComputedRef } from 'vue';
import { openApiFor, unwrap } from '@shared/api/client.ts';
import { Problem } from '@shared/api/problems.ts';
import { today } from '@shared/format.ts';
import { database } from './database.ts';
import { useLiveQuery } from './liveQueries.ts';
import { localDatabase, type DayPlan, type LocalDatabase } from './localDatabase.ts';

const DAY_MS = 86_400_000;
// Unfinished visits of the last two weeks stay visible; plans further ahead are pulled later.
const DAYS_BACK = 14;
const DAYS_AHEAD = 14;

let runningSync: Promise<void> | null = null;

export interface DayPlans {
  byDay: Map<string, string[]>;
  /** Today's assignments, then those left over from earlier days. */
  stops: string[];
  /** A local change has not been pushed yet. */
  isPending: boolean;
}

/** The day plans stored on this phone; null until they have been read. */
export function useDayPlans(): ComputedRef<DayPlans | null> {
  const stored = useLiveQuery<DayPlan[] | null>(() => localDatabase().plans.orderBy('day').toArray(), null);
  return computed(() => {
    if (!stored.value) return null;
    const now = today();
    const byDay = new Map(stored.value.map((plan) => [plan.day, plan.assignmentIds]));
    const before = stored.value.filter((plan) => plan.day < now).flatMap((plan) => plan.assignmentIds);
    return {
      byDay,
      stops: [...(byDay.get(now) ?? []), ...before],
      isPending: stored.value.some((plan) => plan.changedAt !== null),
    };
  });
}

/** Plan these assignments on this day in this order, and remove them from other days. */
export async function saveDayPlan(day: string, assignmentIds: string[]): Promise<void> {
  const { plans } = localDatabase();
  await localDatabase().transaction('rw', plans, async () => {
    const moved = new Set(assignmentIds);
    for (const plan of await plans.where('day').notEqual(day).toArray()) {
      const left = plan.assignmentIds.filter((id) => !moved.has(id));
      if (left.length < plan.assignmentIds.length) await plans.update(plan.day, { assignmentIds: left });
    }
    await plans.put({ day, assignmentIds: [...assignmentIds], changedAt: new Date().toISOString() });
  });
  void syncDayPlans().catch(() => undefined); // the next poll shows the error
}

export function addDays(day: string, days = 1): string {
  return today(new Date(Date.parse(`${day}T12:00:00+08:00`) + days * DAY_MS));
}

/** Push local changes, then pull the server's plans. */
export async function syncDayPlans(): Promise<void> {
  if (runningSync) await runningSync.catch(() => undefined);
  runningSync ??= pushAndPull().finally(() => (runningSync = null));
  return runningSync;
}

async function pushAndPull(): Promise<void> {
  const local = localDatabase(); // also when another person's store is opened meanwhile
  const api = openApiFor(local.ownerId);
  try {
    const changed = (await local.plans.toArray()).filter((plan) => plan.changedAt !== null);
    for (const plan of changed.sort((a, b) => a.changedAt!.localeCompare(b.changedAt!))) {
      await pushDayPlan(local, api, plan);
    }
    await pullDayPlans(local, api);
  } catch (error) {
    // An assignment was reassigned meanwhile: the plan is pushed again once that change has been pulled.
    if (!(error instanceof Problem && error.code === 'thing.not_found')) throw error;
  }
}

type Api = ReturnType<typeof openApiFor>;

async function pushDayPlan(local: LocalDatabase, api: Api, { day, assignmentIds, changedAt }: DayPlan): Promise<void> {
  const assignments = await database.value!.collections.assignments.findByIds(assignmentIds).exec();
  const body = { assignmentIds: assignmentIds.filter((id) => assignments.has(id)) };
  await unwrap(api.PUT('/field/v1/day-plans/{day}', { params: { path: { day } }, body }));
  await local.plans.where({ day }).modify((plan) => {
    if (plan.changedAt === changedAt) plan.changedAt = null; // else it changed again during the push
  });
}

async function pullDayPlans(local: LocalDatabase, api: Api): Promise<void> {
  const { plans } = local;
  const query = { from: addDays(today(), -DAYS_BACK), to: addDays(today(), DAYS_AHEAD) };
  const days = await unwrap(api.GET('/field/v1/day-plans', { params: { query } }));
  await local.transaction('rw', plans, async () => {
    const changed = new Set((await plans.toArray()).filter((plan) => plan.changedAt !== null).map((plan) => plan.day));
    await plans
      .where('day')
      .noneOf([...changed])
      .delete();
    const pulled = days.filter((serverPlan) => !changed.has(serverPlan.day));
    await plans.bulkPut(
      pulled.map(({ day, stops }) => ({ day, assignmentIds: stops.map((stop) => stop.assignmentId), changedAt: null })),
    );
  });
}
