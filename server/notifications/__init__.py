"""Notices: who is told of what, in the app at once and by WeChat where the person asked for it."""
