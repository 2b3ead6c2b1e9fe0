"""Seeded random values of the demo county that must not repeat."""

from datetime import date
from random import Random

from server.core.id_numbers import luhn_ok, make_id_number
from server.demo.areas import CODE
from server.demo.records import Sex
from server.demo.staff import CASEWORKERS, COUNTY_STAFF, TOWN_OFFICERS

_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡"
# Fields and weather, two to a name, so that no real person is likely to have it.
_GIVEN = "禾溪桐岚砚棠穗榆麦苇杉柚泉芦槐竹荷棉谷霁禹陌畦蓑笠埂稔霖汀坪"


class Inventor:
    """Draw values that must be unique: names, identity numbers, phones, cards."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)  # noqa: S311  reproducible, not a secret
        self.taken: set[str] = {name for _, name in (*CASEWORKERS, *TOWN_OFFICERS)}
        self.taken |= {name for _, name, _ in COUNTY_STAFF}
        self.serial = 1000

    def name(self, surname: str | None = None) -> str:
        while True:
            name = (surname or self.rng.choice(_SURNAMES)) + "".join(self.rng.sample(_GIVEN, 2))
            if self._take(name):
                return name

    def id_number(self, born_on: date, sex: Sex) -> str:
        while True:
            sequence = self.rng.randrange(0, 1000, 2) + (sex == "male")
            number = make_id_number(CODE, born_on, sequence)
            if self._take(number):
                return number

    def phone(self) -> str:
        self.serial += self.rng.randint(1, 9)
        return f"1990000{self.serial:04d}"

    def bank_card(self) -> str:
        """Return 19 digits that pass Luhn, under an invented issuer number."""
        while True:
            body = f"620000{self.rng.randrange(10**12):012d}"
            card = next(body + str(last) for last in range(10) if luhn_ok(body + str(last)))
            if self._take(card):
                return card

    def _take(self, value: str) -> bool:
        is_new = value not in self.taken
        self.taken.add(value)
        return is_new
