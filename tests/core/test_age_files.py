"""Files in the format of age: what another program sealed opens here, and what was altered or cut does not.

The two sealed files were made by pyrage 1.4, a program of others, with a key that seals nothing else. It adds stanzas of
no meaning, as the format allows, and the first file has another recipient too.
"""

import base64
import io

import pytest

from server.core.age_files import AgeReader, AgeRefused, AgeWriter, read_private_key, read_public_key

PUBLIC = b"age17uaunye8e52c5axm7k24v65578e07ys5vecsxmlv0cv5g8s909mqcqa0kq"
PRIVATE = b"AGE-SECRET-KEY-1AWLCCNZH73CRHU46UZ3PR53DTF6GMLDTAJLVALKZQ2PRML6VYTHQPVA4C6"
SEALED_ELSEWHERE = {
    "走访记录\n": """
        YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSA2VmVLT3NiQjRWcTkxVnhYRFJDMG4xYVFMUHBMZThaQnhhZEhtQmpWZjFBCmVhZEVJNnZK
        N2VUOVh1MHFxYTJGUkhWOTZ4Qlo3bXZnbjJJcVpNRGpsRTAKLT4gWDI1NTE5IGhUSXBqY0FRTVVtdk5mTDg2R0FlQVhDVi80N240b1hheE9ic2VV
        WVFaRHcKTXVjYlExdnBPaVdFcitZTFMrU0pybWlFMVhIL2VDcTJvMW90Q01mWnpGOAotPiBRbG4tZ3JlYXNlIFIgUCA7JVRLMTJGVgpzSHB0N1Bs
        Z0Q2eU0wSWttR3NPdGNlVXYwZFQzUWwyRWhnUDVoZFBIc3IrMlY2YUNKK09TSkNLQ2EwbUFLZG1XCnBzbEQzMjJValNHYzV4YVNqZXMxWE1tcW5x
        aS9PWEVpOTkvQUN3Ci0tLSB1MXlud0ZVS0VHajBtZDZRYkIzdm12RExwQ1VyV0hOMk1YUmVqZ2FudGF3ClGxJyQqClpiPEvfYVkPTdgErUlP1WPA
        QH2Z2N3xZpk+l7txKDwPUWGenznHzw==""",
    "": """
        YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSB3dE5KWDRKOTc2Vlp4SWtYRUg1ODRuRDVmdllZTVVtUzV5RTF6NHFIQUQ4ClpJVkc4QU1W
        Q2E0TEdHSVQyNTZCWEQrOENOVjFrdWtwU1BjRWJkNmpoL1UKLT4gXH5bWllrTy1ncmVhc2Ugcix5ZCo/IHwgWVcoRjAgInZzZ3FYCmF1eEViWm02
        WkhJCi0tLSBwUlNkUURqM1pNZVpkbFVETzFONTRubS92OEh3WDFkaWdtQkdaNXhuTGlzChWSmnFbzxqWBA+0jH6A3D2RZAoxFs3ZrDIiZwf3Tmps
        """,
}
CHUNK = 64 * 1024


def seal(content: bytes) -> bytes:
    target = io.BytesIO()
    writer = AgeWriter(target, read_public_key(PUBLIC))
    for at in range(0, len(content), 40_000):
        writer.write(content[at : at + 40_000])
    writer.finish()
    return target.getvalue()


def open_sealed(sealed: bytes) -> bytes:
    return io.BufferedReader(AgeReader(io.BytesIO(sealed), read_private_key(PRIVATE))).read()


@pytest.mark.parametrize("words", SEALED_ELSEWHERE)
def test_what_another_program_sealed_opens_here(words):
    assert open_sealed(base64.b64decode(SEALED_ELSEWHERE[words])).decode() == words


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1])
def test_what_is_sealed_here_opens_at_every_length(size):
    content = bytes(number % 251 for number in range(size))
    assert open_sealed(seal(content)) == content


def test_no_altered_byte_and_no_missing_end_goes_unseen():
    sealed = seal(bytes(CHUNK + 100))
    places = [*range(0, 250, 7), len(sealed) - CHUNK, len(sealed) - 1]
    for place in places:
        altered = bytearray(sealed)
        altered[place] ^= 1
        with pytest.raises(AgeRefused):
            open_sealed(bytes(altered))
    for end in (10, 200, len(sealed) - CHUNK, len(sealed) - 116, len(sealed) - 1):
        with pytest.raises(AgeRefused):
            open_sealed(sealed[:end])


@pytest.mark.parametrize("key", [PUBLIC[:-1] + b"p", PUBLIC[:-8], b"age1", b"no key at all", PRIVATE])
def test_a_key_that_is_misspelled_is_refused(key):
    with pytest.raises(AgeRefused):
        read_public_key(key)
