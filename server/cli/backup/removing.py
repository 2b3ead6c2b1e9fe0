"""Remove old backups, and the photos that no backup names any more: what retention deleted leaves the backups too."""

import heapq
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from server.cli.backup.manifest import OBJECT_LIST, fetch, list_backups, read_manifest, read_objects
from server.cli.backup.places import BACKUPS, OBJECTS, Place, object_name


async def remove_old_backups(place: Place, keep: int) -> tuple[int, int]:
    """Keep the newest `keep` backups. Return how many backups and how many objects were removed.

    A backup that was interrupted goes as well, unless it is newer than all that are complete.
    """
    complete = await list_backups(place)
    kept = complete[-keep:]
    removed = set()
    # The manifest last: what is left of an interrupted removal is no complete backup.
    for name in sorted([name async for name in place.list_names(BACKUPS)], key=lambda name: name.endswith(".json")):
        backup_id = name.split("/")[1]
        if backup_id not in kept and kept and backup_id < kept[-1]:
            await place.remove(name)
            removed.add(backup_id)
    return len(removed), await _remove_objects(place, kept)


async def _remove_objects(place: Place, kept: list[str]) -> int:
    """Remove every object that no list names. Lists and objects are in one order, so each is read once."""
    removed = 0
    with TemporaryDirectory(prefix="zoufang-backup-") as folder, ExitStack() as stack:
        lists = []
        for backup_id in kept:
            work = Path(stack.enter_context(TemporaryDirectory(dir=folder)))
            file = await fetch(place, await read_manifest(place, backup_id), OBJECT_LIST, work)
            lists.append(object_name(item.content) for item in read_objects(file))
        named = heapq.merge(*lists)
        next_named = next(named, None)
        async for name in place.list_names(OBJECTS):
            while next_named is not None and next_named < name:
                next_named = next(named, None)
            if name != next_named:
                await place.remove(name)
                removed += 1
    return removed
