"""The demo county, its people, its pictures and a stub of WeChat: all invented."""

from server.demo.county import sign_ins

__all__ = ["sign_ins"]
