"""The child processes that decode photos, so that no picture can fill the worker or end it.

A decoder may take 16 bytes a pixel (WebP with transparency), a gigabyte for the largest photo. So a few children decode
photos of usual size at the same time, and one at a time those above.
"""

import os
import queue
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Final, ParamSpec, TypeVar

from media.limits import Limits
from media.processing import Outcome, count_pixels, process_bytes
from server.core.child_process import ChildLimits, ChildProcess

P = ParamSpec("P")
T = TypeVar("T")
# Phones take 12 to 16 megapixels; those of 48 and more send one photo at a time.
LARGE_PIXELS: Final = 20_000_000
# Measured: 16 bytes a pixel for WebP, 8 for HEIC and CMYK, 4 for PNG. With the worker itself below 2 GB at the worst.
LIMITS: Final = ChildLimits(memory_mb=1280, seconds=120, uses=200)
COUNT: Final = max(1, min(3, os.cpu_count() or 1))


class PhotoChildren:
    """A few children; the one used last is used first, so that the others end when little is to do."""

    def __init__(self, count: int, limits: ChildLimits) -> None:
        self._free: queue.LifoQueue[ChildProcess] = queue.LifoQueue()
        for _ in range(count):
            self._free.put(ChildProcess(limits))
        self._large_turn = threading.Lock()

    def process(self, data: bytes, sha256: str, limits: Limits) -> Outcome:
        """Process a photo in a child. Blocks: call it in a thread. Raises OtherBytes, ChildFailed."""
        is_large = self._run(count_pixels, data, limits) > LARGE_PIXELS
        with self._large_turn if is_large else nullcontext():
            return self._run(process_bytes, data, sha256, limits)

    def close(self) -> None:
        """End the children that are free."""
        while not self._free.empty():
            self._free.get().close()

    def _run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        child = self._free.get()
        try:
            return child.run(work, *arguments, **named)
        finally:
            self._free.put(child)


photo_children = PhotoChildren(COUNT, LIMITS)
