"""Who reads Chinese reads no English among it: each message of the validator has its sentence."""

import datetime as dt
import decimal
import enum
import uuid
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from server.http.field_faults import describe_fault


class Kind(enum.Enum):
    CARE = "care"


class Form(msgspec.Struct, forbid_unknown_fields=True):
    name: str


@pytest.mark.parametrize(
    ("value", "expected_type"),
    [
        ("x" * 9, Annotated[str, Meta(max_length=4)]),
        ("x", Annotated[str, Meta(min_length=4)]),
        ("x", Annotated[str, Meta(pattern="^[0-9]$")]),
        ([1, 2], Annotated[list[int], Meta(max_length=1)]),
        ([], Annotated[list[int], Meta(min_length=1)]),
        (9, Annotated[int, Meta(le=4)]),
        (9, Annotated[int, Meta(lt=4)]),
        (1, Annotated[int, Meta(ge=4)]),
        (1, Annotated[int, Meta(gt=4)]),
        (0.5, Annotated[float, Meta(ge=1.5)]),
        ("x", int),
        (1.5, int),
        ("x", float),
        (1, str),
        (None, str),
        ("x", bool),
        ("x", list[int]),
        ("x", dict[str, int]),
        ("x", uuid.UUID),
        ("x", dt.date),
        ("x", dt.datetime),
        ("2001-01-01T00:00:00", Annotated[dt.datetime, Meta(tz=True)]),
        ("x", decimal.Decimal),
        ("x", Kind),
        ("x", bytes),
        ({}, Form),
        ({"name": "x", "more": 1}, Form),
    ],
)
def test_every_message_of_the_validator_has_a_sentence(value: Any, expected_type: Any):
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(value, expected_type)
    message = str(refused.value)
    sentence = describe_fault(message, "zh")
    assert sentence != message
    assert "Expected" not in sentence
    assert describe_fault(message, "en") == message
