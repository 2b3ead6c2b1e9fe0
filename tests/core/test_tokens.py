"""Access tokens: whose they are, how long they hold, and what this server did not write."""

from datetime import timedelta

import jwt
import pytest

from server.core import tokens
from server.core.clock import utc_now
from server.core.errors import Problem
from server.core.ids import new_id
from server.core.keys import KeyRing
from server.core.tokens import LEEWAY, AccessClaims, issue_access_token, read_access_token

RING = KeyRing("new", {"new": b"n" * 32, "old": b"o" * 32})
CLAIMS = AccessClaims(new_id(), new_id(), is_resident=False)


def code_of(token):
    with pytest.raises(Problem) as raised:
        read_access_token(RING, token)
    assert raised.value.headers["WWW-Authenticate"].startswith("Bearer")
    return raised.value.code


def forged(*, key=RING.keys["new"], kid="new", algorithm="HS256", **changes):
    """A token with everything right but what is changed; None leaves it out."""
    right = {
        "sub": str(CLAIMS.person_id),
        "sid": str(CLAIMS.device_id),
        "typ": "staff",
        "aud": "zoufang",
        "exp": utc_now() + timedelta(days=1),  # some are made when the tests are collected
    }
    payload = {name: value for name, value in (right | changes).items() if value is not None}
    return jwt.encode(payload, key, algorithm=algorithm, headers={"kid": kid})


def test_a_token_is_read_as_it_was_written_for_as_long_as_it_says_and_no_longer(monkeypatch):
    now = utc_now()
    token = issue_access_token(RING, CLAIMS, now=now, minutes=15)
    assert read_access_token(RING, token) == CLAIMS
    assert read_access_token(RING, forged()) == CLAIMS
    # Servers' clocks differ by seconds.
    ends = now.replace(microsecond=0) + timedelta(minutes=15) + LEEWAY
    # Verified once and remembered, it is still held to its time.
    monkeypatch.setattr(tokens, "utc_now", lambda: ends - timedelta(seconds=0.5))
    assert read_access_token(RING, token) == CLAIMS
    monkeypatch.setattr(tokens, "utc_now", lambda: ends)
    assert code_of(token) == "auth.token_expired"


def test_a_token_that_comes_late_was_never_remembered_and_is_over_too():
    assert code_of(issue_access_token(RING, CLAIMS, now=utc_now() - timedelta(minutes=16), minutes=15)) == (
        "auth.token_expired"
    )


@pytest.mark.parametrize(
    "token",
    [
        forged(key=b"x" * 32),
        forged(key=RING.keys["old"]),
        forged(kid="gone"),
        forged(kid=""),
        forged(aud="another"),
        forged(aud=None),
        forged(exp=None),
        forged(sub=None),
        forged(sid=None),
        forged(typ=None),
        forged(sub="nobody"),
        forged(key=None, algorithm="none"),
        forged(key=RING.keys["new"] * 2, algorithm="HS512"),
        "",
        "a.b.c",
    ],
)
def test_what_this_server_did_not_write_is_no_token(token):
    assert code_of(token) == "auth.token_invalid"


def test_the_key_before_still_reads_and_a_key_taken_out_no_longer_does():
    token = forged(key=RING.keys["old"], kid="old")
    assert read_access_token(RING, token) == CLAIMS
    with pytest.raises(Problem) as raised:
        read_access_token(KeyRing("new", {"new": RING.keys["new"]}), token)
    assert raised.value.code == "auth.token_invalid"
