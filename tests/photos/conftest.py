from tests.evidence.conftest import bucket, kit, settings

__all__ = ["bucket", "kit", "settings"]
