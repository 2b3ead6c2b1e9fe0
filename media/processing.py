"""All that is computed from a photo's bytes: facts, renditions, fingerprints, or the refusal.

This runs in a child process with a memory limit (server/photos/process.py), so it must import nothing heavy.
"""

import hashlib

from media.limits import DEFAULT_LIMITS, Limits
from media.photo import PhotoFacts, read_photo_facts
from media.refusals import PhotoRefused
from media.renditions import Renditions, make_renditions

Outcome = tuple[PhotoFacts, Renditions] | PhotoRefused


class OtherBytes(Exception):
    """The store returned bytes that don't match the photo's hash."""


def process_bytes(data: bytes, sha256: str, limits: Limits = DEFAULT_LIMITS) -> Outcome:
    try:
        facts = read_photo_facts(data, limits=limits)
        if facts.sha256 == sha256:
            return facts, make_renditions(data, facts)
    except PhotoRefused as refused:
        if hashlib.sha256(data).hexdigest() == sha256:
            return refused
    raise OtherBytes(sha256)


def count_pixels(data: bytes, limits: Limits = DEFAULT_LIMITS) -> int:
    """Return the pixels that decoding would take; 0 for what is refused before it is decoded."""
    try:
        facts = read_photo_facts(data, limits=limits)
    except PhotoRefused:
        return 0
    return facts.stored_width * facts.stored_height
