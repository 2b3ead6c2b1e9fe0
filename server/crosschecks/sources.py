"""The offices that answer cross-checks: what each answers, and which declared item that is compared with."""

from typing import Literal, NamedTuple

SourceCode = Literal[
    "public_security",
    "housing",
    "social_security",
    "tax",
    "market",
    "provident_fund",
    "finance",
    "public_service",
    "deaths",
]
NAME_HEADING, ID_HEADING, POSITION_HEADING = "姓名", "身份证号", "序号"


class Column(NamedTuple):
    """A column of an office's answer. `against`: the kind of declared income or property it is compared with."""

    key: str
    heading: str
    kind: Literal["money", "count"]
    against: str


class Source(NamedTuple):
    zh: str
    columns: tuple[Column, ...]


SOURCES: dict[str, Source] = {
    "public_security": Source("公安", (Column("vehicles", "机动车数量", "count", "vehicle"),)),
    "housing": Source("房管", (Column("homes", "房产套数", "count", "home"),)),
    "social_security": Source("人社", (Column("pension", "月养老金(元)", "money", "transfer"),)),
    "tax": Source("税务", (Column("wage", "月工资薪金(元)", "money", "wage"),)),
    "market": Source("市场监管", (Column("businesses", "登记市场主体数量", "count", "business"),)),
    "provident_fund": Source("公积金", (Column("base", "月缴存基数(元)", "money", "wage"),)),
    "finance": Source("金融", (Column("deposits", "存款余额(元)", "money", "deposit"),)),
    # Nobody declares these: whatever is found differs.
    "public_service": Source(
        "组织、编制（财政供养人员）", (Column("posts", "财政供养登记数", "count", "public_post"),)
    ),
    "deaths": Source("民政、公安（死亡和殡葬）", (Column("deaths", "死亡登记数", "count", "death"),)),
}


def answer_headings(source: str) -> list[str]:
    return [ID_HEADING, *(column.heading for column in SOURCES[source].columns)]
