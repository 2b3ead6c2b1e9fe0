"""JSON pointers (RFC 6901) to the invalid place in a document."""

import re


def error_pointer(message: str) -> str:
    """Return the JSON pointer of the path in a msgspec error message, such as `$.visit.answers[0]`."""
    match = re.search(r"at `\$([^`]*)`", message)
    if match is None:
        return ""
    parts = re.findall(r"\.([^.\[\]]+)|\[([^\]]*)\]", match.group(1))
    return "".join("/" + escape_pointer(name or index) for name, index in parts)


def escape_pointer(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
