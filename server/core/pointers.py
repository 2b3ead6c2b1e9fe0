"""Where a fault lies, as an RFC 6901 JSON pointer."""

import re


def error_pointer(message: str) -> str:
    """The pointer in msgspec's message, which writes places as `$.visit.answers[0]`."""
    match = re.search(r"at `\$([^`]*)`", message)
    if match is None:
        return ""
    parts = re.findall(r"\.([^.\[\]]+)|\[([^\]]*)\]", match.group(1))
    return "".join("/" + escape_pointer(name or index) for name, index in parts)


def escape_pointer(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
