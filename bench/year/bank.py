"""The bank: takes files, credits each line once, answers in parts, says things twice, and sends money back late."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.year.county import BANK_FORM, Home
from server.core.money import format_yuan

HEADINGS = "业务编号,金额,结果,失败原因"
FIRST_PERCENT = 60


@dataclass
class Order:
    """A line of a file: what the bank is to credit to whom."""

    reference: str
    payee: str
    account: str
    fen: int


@dataclass
class Bank:
    """`credited`: what each line's account has; a line that was sent back is no longer in it."""

    holders: dict[str, str]
    chance: random.Random
    closed: set[str] = field(default_factory=set)
    orders: dict[str, Order] = field(default_factory=dict)
    credited: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, homes: Sequence[Home]) -> "Bank":
        return cls({home.card: home.head for home in homes}, random.Random(20))

    def take(self, files: Sequence[bytes]) -> list[Order]:
        """Read the files of a roster; their control sums must be those of their lines."""
        orders: list[Order] = []
        for content in files:
            control, *lines = content.decode(str(BANK_FORM["encoding"])).split("\r\n")[:-1]
            read = [Order(reference, payee, account, int(fen)) for reference, payee, account, fen in map(_split, lines)]
            if control != f"{len(read)}|{sum(order.fen for order in read)}":
                self.faults.append(f"control sum {control}")
            orders += read
        for order in orders:
            if order.reference in self.orders:
                self.faults.append(f"{order.reference} was ordered twice")
            self.orders[order.reference] = order
        return orders

    def close_accounts(self, orders: Sequence[Order], share: int) -> None:
        """Let one of `share` accounts of these orders be closed from now on."""
        chosen = self.chance.sample(list(orders), max(1, len(orders) // share))
        self.closed |= {order.account for order in chosen}

    def answer(self, orders: Sequence[Order]) -> list[str]:
        """Return three files: a part, then all with repeats, doubts among them, and the second once more."""
        results = {order.reference: self._pay(order) for order in orders}
        first = orders[: len(orders) * FIRST_PERCENT // 100]
        doubts = ["FF-UNKNOWN,1.00,成功,", f"{orders[0].reference},{format_yuan(orders[0].fen + 1)},成功,"]
        part = _write([_row(order, results[order.reference]) for order in first] + doubts)
        whole = _write([_row(order, results[order.reference]) for order in orders])
        return [part, whole, whole]

    def send_back_late(self, orders: Sequence[Order], count: int) -> tuple[str, list[Order]]:
        """Return a file that sends paid lines back, and the lines."""
        paid = [order for order in orders if order.reference in self.credited]
        chosen = self.chance.sample(paid, min(count, len(paid)))
        for order in chosen:
            del self.credited[order.reference]
            self.closed.add(order.account)
        return _write([_row(order, "退票") for order in chosen]), chosen

    def _pay(self, order: Order) -> str:
        if order.account in self.closed or self.holders.get(order.account) != order.payee:
            return "失败"
        if order.reference in self.credited:
            self.faults.append(f"{order.reference} was credited twice")
        self.credited[order.reference] = order.fen
        return "成功"


def _split(line: str) -> tuple[str, str, str, str]:
    reference, payee, account, fen = line.split("|")
    return reference, payee, account, fen


def _row(order: Order, result: str) -> str:
    return f"{order.reference},{format_yuan(order.fen)},{result},{'' if result == '成功' else '账户状态异常'}"


def _write(rows: Sequence[str]) -> str:
    return "\r\n".join([HEADINGS, *rows])
