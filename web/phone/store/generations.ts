// How often the replication of a collection was begun anew on this phone; part of its identifier.
import type { CollectionName } from './database.ts';

export function getGeneration(name: CollectionName): number {
  return Number(localStorage.getItem(`zoufang.generation.${name}`) ?? 0);
}

/** The next replication of this collection begins anew: it pulls everything and pushes what is here. */
export function forgetReplication(name: CollectionName): void {
  localStorage.setItem(`zoufang.generation.${name}`, String(getGeneration(name) + 1));
}
