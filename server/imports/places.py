"""Find an area by what a person typed: its code, its name, or its path of names."""

import unicodedata
from collections import defaultdict

from sqlalchemy import select

from server.imports.columns import Line
from server.imports.import_kind import Work
from server.models.areas import Area

_UNKNOWN = ("不是本地区的区划", "no area here has this code or name")
_AMBIGUOUS = ("有多个同名的地区，请写明上级或代码", "several areas have this name; write the town too, or the code")


class Places:
    """The areas under the import's own, by code and by name. A name that fits several areas fits none."""

    def __init__(self, areas: dict[str, str]) -> None:
        self.names = areas
        self._by_name: dict[str, set[str]] = defaultdict(set)
        for code in areas:
            for name in self._writings(code):
                self._by_name[name].add(code)

    def find(self, line: Line, key: str, *, least_digits: int) -> str | None:
        """Return the code, or note a fault: empty, unknown, ambiguous, or not deep enough (12: a village)."""
        text = line.required(key)
        found = {text} if text in self.names else self._by_name.get(_normalise(text), set())
        deep = {code for code in found if len(code) >= least_digits}
        if text and len(deep) != 1:
            reason = (
                ("有多个同名的地区", "several areas have this name")
                if len(deep) > 1
                else ("不是本地区的区划", "unknown here")
            )
            line.add_fault(key, "area.unknown", f"{reason[0]}：{text[:20]}", f"{reason[1]}: {text[:20]}")
            return None
        return next(iter(deep), None)

    def _writings(self, code: str) -> set[str]:
        """The name alone, and behind those of any number of areas above it."""
        path, writings = "", set()
        while code in self.names:
            path = _normalise(self.names[code]) + path
            writings.add(path)
            code = code[: {12: 9, 9: 6, 6: 4, 4: 2}.get(len(code), 0)]
        return writings


async def load_places(work: Work) -> Places:
    above = [work.area_code[:digits] for digits in (2, 4, 6, 9) if digits < len(work.area_code)]
    rows = await work.session.execute(
        select(Area.code, Area.name).where(
            Area.valid_until.is_(None),
            Area.code.startswith(work.area_code, autoescape=True) | Area.code.in_(above),
        )
    )
    areas: list[tuple[str, str]] = [(code, name) for code, name in rows]
    return Places(dict(areas))


def _normalise(text: str) -> str:
    """Compare names without spaces and without the endings that people leave out."""
    name = "".join(unicodedata.normalize("NFKC", text).split())
    for ending in ("村民委员会", "居民委员会", "村委会", "居委会"):
        if name.endswith(ending):
            kept = "村" if ending.startswith("村") else "社区"
            stem = name.removesuffix(ending)
            return stem if stem.endswith(("村", "社区")) else stem + kept
    return name
