"""The audit trail: every write and every look at what is sensitive, sealed into a chain."""

from server.audit.seals import SEAL_BATCH, broken_seal, load_head, seal
from server.audit.trail import record

__all__ = ["SEAL_BATCH", "broken_seal", "load_head", "record", "seal"]
