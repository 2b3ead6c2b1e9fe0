"""The types of the values of policy settings: numbers with their ranges, and what is more than a number.

Which setting has which type: `schemas`.
"""

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct

from server.core.age_files import AgeRefused, read_public_key

Metres = Annotated[int, Meta(ge=10, le=20_000)]
Minutes = Annotated[int, Meta(ge=0, le=1440)]
Hour = Annotated[int, Meta(ge=0, le=23)]
Days = Annotated[int, Meta(ge=0, le=3650)]
Months = Annotated[int, Meta(ge=1, le=60)]
Percent = Annotated[int, Meta(ge=0, le=100)]
Few = Annotated[int, Meta(ge=1, le=100)]
Fen = Annotated[int, Meta(ge=0, le=100_000_000)]
Code = Annotated[str, Meta(pattern="^[a-z][a-z0-9_.]{0,79}$")]
Text = Annotated[str, Meta(min_length=1, max_length=200)]


class _StrictStruct(Struct, rename="camel", forbid_unknown_fields=True):
    pass


class Span(_StrictStruct):
    """A length of time with its unit."""

    count: Annotated[int, Meta(ge=1, le=365)]
    unit: Literal["days", "working_days"]


class PrivacyText(_StrictStruct):
    """The privacy notice. A new version asks everybody anew."""

    version: Annotated[str, Meta(pattern="^[0-9A-Za-z.-]{1,20}$")]
    zh: Annotated[str, Meta(min_length=20, max_length=5000)]
    en: Annotated[str, Meta(min_length=20, max_length=5000)]


class RuralIntervals(_StrictStruct, rename=None):
    """Months between two reviews of a household of rural dibao, by its class."""

    A: Months
    B: Months
    C: Months


class Intervals(_StrictStruct, rename=None, omit_defaults=True):
    """Months between two reviews, by the class of the household; those of rural dibao where they differ."""

    A: Months
    B: Months
    C: Months
    rural_homes: RuralIntervals | None = None


class FindingDays(_StrictStruct):
    """Days of waiting that a finding adds in the review queue, by severity."""

    info: Days
    notice: Days
    warning: Days
    critical: Days


class QuietHours(_StrictStruct, rename={"from_": "from"}):
    from_: Hour
    to: Hour


TemplateFields = Annotated[
    dict[Annotated[str, Meta(pattern="^[a-z_]+[0-9]+$")], Literal["what", "when", "where", "count"]],
    Meta(max_length=10),
]


class ServiceTemplate(_StrictStruct, omit_defaults=True):
    """A message of the service account. `page` is a path of ours, such as `/r/`. A long-term consent is not used up."""

    template_id: Annotated[str, Meta(max_length=64)]
    fields: TemplateFields
    page: Annotated[str, Meta(pattern="^(/(m|r|desk)/.*)?$", max_length=200)] = "/r/"
    long_term: bool = False


class Template(_StrictStruct, omit_defaults=True):
    """The messages of a kind: the mini-program's subscribe message, both of the service account, a text message.

    With an empty id none is sent. `fields` map the fields of a template to values.
    """

    template_id: Annotated[str, Meta(max_length=64)]
    page: Annotated[str, Meta(max_length=200)]
    fields: TemplateFields
    service_subscribe: ServiceTemplate | None = None
    service_template: ServiceTemplate | None = None
    # Aliyun's approved template, with the variables `what` and `when`.
    sms: Annotated[str, Meta(pattern="^(SMS_[0-9]+)?$", max_length=40)] = ""


class Paper(_StrictStruct, omit_defaults=True):
    code: Code
    zh: Text
    en: Text
    situation: Code | None = None


class RequiredProof(_StrictStruct, omit_defaults=True):
    """A proof that households hand in every so many months; of all, or of those with such a member or income."""

    code: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]
    zh: Text
    en: Text
    months: Months
    of: Literal["all", "income", "disability", "student"] = "all"
    classes: Annotated[list[Literal["A", "B", "C"]], Meta(max_length=3)] = []


class StopGround(_StrictStruct):
    """A ground of a stop. A code with a dot is a kind of the code before it."""

    code: Code
    zh: Text
    en: Text


class Step(_StrictStruct):
    until_fen: Fen | None
    per_head_fen: Fen


class Standards(_StrictStruct):
    """The standard where it differs between town and countryside."""

    urban: Fen
    rural: Fen


class PropertyLimits(_StrictStruct, omit_defaults=True):
    """What an edge household may own at most; a kind that is left out is not compared."""

    home: Annotated[int, Meta(ge=0, le=100)] | None = None
    vehicle: Annotated[int, Meta(ge=0, le=100)] | None = None
    business: Annotated[int, Meta(ge=0, le=100)] | None = None
    deposit_per_head_fen: Fen | None = None


class NotCounted(_StrictStruct, omit_defaults=True):
    """A category of income that is left out from a day, until a day, or both."""

    code: Code
    since: date | None = None
    until: date | None = None


class PaymentProgram(_StrictStruct, omit_defaults=True):
    """What a roster pays: the decided amount of a case, or so much a head or a home of those programmes."""

    code: Code
    zh: Text
    en: Text
    fund: Text
    homes: Annotated[list[Literal["urban", "rural"]], Meta(min_length=1, max_length=2)]
    pays: Literal["amount", "per_person", "per_household"] = "amount"
    fen: Fen | None = None
    # Months of the year in which it is paid; empty: every month.
    months: Annotated[list[Annotated[int, Meta(ge=1, le=12)]], Meta(max_length=12)] = []


class CertificateNumber(_StrictStruct):
    """How a certificate is numbered: its parts in order, then a serial number of so many digits for each of them."""

    parts: Annotated[list[Literal["letter", "county", "town", "year"]], Meta(min_length=1, max_length=4)]
    letters: dict[Literal["urban", "rural"], Annotated[str, Meta(pattern="^[A-Z]{0,3}$")]]
    digits: Annotated[int, Meta(ge=3, le=9)]


class AidCause(_StrictStruct):
    code: Code
    zh: Text
    en: Text


class AidKind(_StrictStruct, omit_defaults=True):
    """A kind of linked aid: money, or goods counted by a unit. `causes`: one of them is named with each line."""

    code: Code
    zh: Text
    en: Text
    fund: Text
    form: Literal["money", "goods"] = "money"
    unit_zh: Text = "元"
    unit_en: Text = "yuan"
    # Whose homes a finding leaves in peace: those with a case in force in the month, or any.
    homes: Literal["in_force", "any"] = "in_force"
    causes: Annotated[list[AidCause], Meta(max_length=20)] = []
    times_a_month: Annotated[int, Meta(ge=1, le=31)] = 1


class FileColumn(_StrictStruct, omit_defaults=True):
    """A column of a bank's file. `width` is in bytes of the file's encoding, for fixed width only."""

    field: Literal["position", "reference", "payee", "account", "bank", "fen", "yuan", "note", "constant"]
    heading: Annotated[str, Meta(max_length=40)] = ""
    width: Annotated[int, Meta(ge=1, le=200)] | None = None
    align: Literal["left", "right"] = "left"
    pad: Annotated[str, Meta(min_length=1, max_length=1)] = " "
    constant: Annotated[str, Meta(max_length=100)] = ""


class AnswerColumns(_StrictStruct, omit_defaults=True):
    """The headings of what the bank sends back, and its words for a payment that arrived."""

    reference: Text
    yuan: Text
    result: Text
    paid: Annotated[list[Text], Meta(min_length=1, max_length=20)]
    returned: Annotated[list[Text], Meta(min_length=1, max_length=40)]
    reason: Annotated[str, Meta(max_length=40)] = ""


class BankForm(_StrictStruct, omit_defaults=True):
    """How a bank wants its files. `control` is a first line with the number of lines and their sum.

    `public_key`: the bank's key `age1…`. Files leave sealed to it: nobody else opens them, the office neither.
    """

    code: Code
    zh: Text
    en: Text
    format: Literal["csv", "fixed", "xlsx"]
    columns: Annotated[list[FileColumn], Meta(min_length=1, max_length=30)]
    answer: AnswerColumns
    encoding: Literal["utf-8", "gbk"] = "utf-8"
    separator: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    headings: bool = True
    control: Literal["none", "yuan", "fen"] = "none"
    most_lines: Annotated[int, Meta(ge=1, le=50_000)] = 1000
    public_key: Annotated[str, Meta(max_length=100)] = ""

    def __post_init__(self) -> None:
        if self.public_key:
            try:
                read_public_key(self.public_key.encode())
            except AgeRefused as refused:
                raise ValueError(str(refused)) from None


class Rounding(_StrictStruct):
    to_fen: Annotated[int, Meta(ge=1, le=10_000)]
    mode: Literal["half_up", "up"]
