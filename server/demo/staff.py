"""Staff of the demo county: twelve caseworkers in pairs, three town officers, four people at the county."""

from collections.abc import Iterator, Sequence

from server.demo.areas import CODE, TOWNS
from server.demo.records import Area, Staff, StaffRole

DEMO_PASSWORDS: dict[StaffRole, str] = {
    "caseworker": "zoufang-caseworker",
    "town_officer": "zoufang-town",
    "county_officer": "zoufang-county",
    "supervisor": "zoufang-supervisor",
    "admin": "zoufang-admin",
}
"""One password for each role, printed by `make run`. They open nothing but a demo on this machine."""

ROLE_LABELS: dict[StaffRole, tuple[str, str]] = {
    "caseworker": ("村（社区）低保专干", "caseworker"),
    "town_officer": ("乡镇民政助理", "town officer"),
    "county_officer": ("县民政局", "county officer"),
    "supervisor": ("督查", "supervisor"),
    "admin": ("系统管理员", "admin"),
}
CASEWORKERS = (
    ("linhexi", "林禾溪"),
    ("zhoutonglan", "周桐岚"),
    ("wuyanqiu", "吴砚秋"),
    ("zhengtangye", "郑棠野"),
    ("hesuian", "何穗安"),
    ("xuyuning", "许榆宁"),
    ("yemaizhou", "叶麦舟"),
    ("fangweihang", "方苇杭"),
    ("chengshanyue", "程杉月"),
    ("xuyouchuan", "徐柚川"),
    ("shaoquanshi", "邵泉石"),
    ("jiangluting", "江芦汀"),
)
TOWN_OFFICERS = (("panhuaixu", "潘槐序"), ("wangzhusheng", "汪竹声"), ("yusonggu", "余松谷"))
COUNTY_STAFF: tuple[tuple[str, str, StaffRole], ...] = (
    ("maohetang", "毛荷塘", "county_officer"),
    ("jiangmianyuan", "姜棉远", "county_officer"),
    ("zhuyanhui", "祝雁回", "supervisor"),
    ("zhanxinglou", "占星楼", "admin"),
)


def build_staff(villages: Sequence[Area]) -> Iterator[Staff]:
    """Yield all staff. Caseworkers visit in pairs: each even position with the next, from two villages of one town."""
    phones = (f"1990000{n:04d}" for n in range(1, 100))
    for position, (login, name) in enumerate(CASEWORKERS):
        partner = CASEWORKERS[position ^ 1][0]
        yield Staff(login, name, "caseworker", villages[position].code, next(phones), login, partner)
    for (login, name), (town, _) in zip(TOWN_OFFICERS, TOWNS, strict=True):
        yield Staff(login, name, "town_officer", CODE + town, next(phones), login)
    for login, name, role in COUNTY_STAFF:
        yield Staff(login, name, role, CODE, next(phones), login)
