"""QR codes, read back module by module."""

from __future__ import annotations

import hashlib

import pytest

from wechatpay.sandbox import qr


@pytest.mark.parametrize("length", [1, 15, 62, 152, 213])
def test_code_has_the_size_of_its_version(length):
    """The finders are in three corners, the quiet zone is four modules."""
    rows = qr.matrix("x" * length)
    finder = [[max(abs(r - 3), abs(c - 3)) in {0, 1, 3} for c in range(7)] for r in range(7)]

    assert 0 == (len(rows) - 17) % 4
    assert finder == [row[:7] for row in rows[:7]] == [row[-7:] for row in rows[:7]]
    assert finder == [row[:7] for row in rows[-7:]]
    assert f'viewBox="0 0 {len(rows) + 8} {len(rows) + 8}"' in qr.svg("x" * length)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("weixin://wxpay/bizpayurl?pr=8837237090", "2754f65ef6ec971f"),
        ("微信支付", "93853e90420f9506"),
        ("a" * 213, "c463831103cf2588"),
    ],
)
def test_code_is_one_that_a_reader_has_read(text, known):
    """The modules are those of a code that was read by another program."""
    modules = "".join("01"[bit] for row in qr.matrix(text) for bit in row)

    assert known == hashlib.sha256(modules.encode()).hexdigest()[:16]


def test_longer_text_is_refused():
    """The largest version here has 213 bytes."""
    with pytest.raises(ValueError, match="213"):
        qr.matrix("a" * 214)
