// The days as this caseworker means to walk them. The server's timetable draws them up; the caseworker puts them in
// another order, also with no network: what was changed here is kept, goes up first, and only then the server's days
// come down. Of two phones of one person the later word holds.
import { computed, type ComputedRef } from 'vue';
import { api, unwrap } from '@shared/api/client.ts';
import { Problem } from '@shared/api/problems.ts';
import { today } from '@shared/format.ts';
import { database } from './database.ts';
import { useLocal } from './live.ts';
import { local, type DayPlan } from './local.ts';

const DAY_MS = 86_400_000;
// What was not walked in the last two weeks still shows; what is further ahead comes in time.
const BACK_DAYS = 14;
const AHEAD_DAYS = 14;

let exchanging: Promise<void> | null = null;

export interface Days {
  byDay: Map<string, string[]>;
  /** Today's, and after them what was left over from the days before. */
  stops: string[];
  /** Something of it is not at the server yet. */
  waits: boolean;
}

/** The days this phone knows; null until they were read. */
export function useDays(): ComputedRef<Days | null> {
  const kept = useLocal<DayPlan[] | null>(() => local().plans.orderBy('day').toArray(), null);
  return computed(() => {
    if (!kept.value) return null;
    const now = today();
    const byDay = new Map(kept.value.map((one) => [one.day, one.assignmentIds]));
    const before = kept.value.filter((one) => one.day < now).flatMap((one) => one.assignmentIds);
    return {
      byDay,
      stops: [...(byDay.get(now) ?? []), ...before],
      waits: kept.value.some((one) => one.changedAt !== null),
    };
  });
}

/** These visits on this day, in this order; they leave the day they stood on. */
export async function planDay(day: string, assignmentIds: string[]): Promise<void> {
  const { plans } = local();
  await local().transaction('rw', plans, async () => {
    const wanted = new Set(assignmentIds);
    for (const one of await plans.where('day').notEqual(day).toArray()) {
      const left = one.assignmentIds.filter((id) => !wanted.has(id));
      if (left.length < one.assignmentIds.length) await plans.update(one.day, { assignmentIds: left });
    }
    await plans.put({ day, assignmentIds: [...assignmentIds], changedAt: new Date().toISOString() });
  });
  void exchangeDayPlans().catch(() => undefined); // told by the next look at the server
}

export function dayAfter(day: string, days = 1): string {
  return today(new Date(Date.parse(`${day}T12:00:00+08:00`) + days * DAY_MS));
}

/** Sends what was changed here, then takes over the server's days. */
export async function exchangeDayPlans(): Promise<void> {
  if (exchanging) await exchanging.catch(() => undefined);
  exchanging ??= exchange().finally(() => (exchanging = null));
  return exchanging;
}

async function exchange(): Promise<void> {
  try {
    const { plans } = local();
    const changed = (await plans.toArray()).filter((one) => one.changedAt !== null);
    for (const one of changed.sort((a, b) => a.changedAt!.localeCompare(b.changedAt!))) await send(one);
    await fetchDays();
  } catch (error) {
    // A visit that is no longer this person's: the order goes up once the phone has heard of it.
    if (!(error instanceof Problem && error.code === 'thing.not_found')) throw error;
  }
}

async function send({ day, assignmentIds, changedAt }: DayPlan): Promise<void> {
  const held = await database.value!.collections.assignments.findByIds(assignmentIds).exec();
  const body = { assignmentIds: assignmentIds.filter((id) => held.has(id)) };
  await unwrap(api.PUT('/field/v1/day-plans/{day}', { params: { path: { day } }, body }));
  await local()
    .plans.where({ day })
    .modify((one) => {
      if (one.changedAt === changedAt) one.changedAt = null; // else it was changed again while this went up
    });
}

async function fetchDays(): Promise<void> {
  const query = { from: dayAfter(today(), -BACK_DAYS), to: dayAfter(today(), AHEAD_DAYS) };
  const days = await unwrap(api.GET('/field/v1/day-plans', { params: { query } }));
  const { plans } = local();
  await local().transaction('rw', plans, async () => {
    const changed = new Set((await plans.toArray()).filter((one) => one.changedAt !== null).map((one) => one.day));
    await plans
      .where('day')
      .noneOf([...changed])
      .delete();
    const fresh = days.filter((one) => !changed.has(one.day));
    await plans.bulkPut(
      fresh.map(({ day, stops }) => ({ day, assignmentIds: stops.map((one) => one.assignmentId), changedAt: null })),
    );
  });
}
