"""Demo data: an invented county with its people and pictures, a demo visit, and a stub of WeChat."""

from server.demo.county import list_sign_ins

__all__ = ["list_sign_ins"]
