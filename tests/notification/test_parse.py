"""APIv3's callbacks: what is accepted, and what is read from it."""

from __future__ import annotations

import json
import pickle
from datetime import datetime, timedelta, timezone

import pytest
from notification.callbacks import APIV3_KEY, ID, NOW, ORDER, envelope, handler, signed


def test_genuine_callback_is_read_whole():
    """All that the envelope and the resource say is there, typed."""
    body = envelope()
    found = handler().parse(signed(body), body)

    assert ID == found.id
    assert "TRANSACTION.SUCCESS" == found.event_type
    assert datetime(2015, 5, 20, 13, 29, 35, tzinfo=timezone(timedelta(hours=8))) == found.create_time
    assert "支付成功" == found.summary
    assert "transaction" == found.original_type
    assert ORDER == found.resource
    assert json.dumps(ORDER).encode() == found.plaintext
    assert body == found.raw
    assert "v3" == found.version


def test_notification_is_a_value_that_pickles():
    """A task queue can take it; equality and hash go by what came."""
    body = envelope()
    found = handler().parse(signed(body), body)
    again = pickle.loads(pickle.dumps(found))

    assert found == again
    assert hash(found) == hash(again)
    assert ORDER == again.resource


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_body_may_be_any_bytes(kind):
    """Frameworks differ in the kind of bytes that they give."""
    body = envelope()

    assert ORDER == handler().parse(signed(body), kind(body)).resource


@pytest.mark.parametrize("skew", [300, -300, 0])
def test_callback_within_300_seconds_is_accepted(skew):
    """The clocks may differ by 300 s."""
    body = envelope()

    assert ID == handler().parse(signed(body, at=NOW - skew), body).id


@pytest.mark.parametrize("aad", [..., "", None], ids=["absent", "empty", "null"])
def test_associated_data_is_optional(aad):
    """Absent, empty and null are the same: there is none."""
    body = envelope(aad=aad)

    assert ORDER == handler().parse(signed(body), body).resource


def test_create_time_that_is_not_a_time_does_not_lose_the_event():
    """A genuine event is worth more than its date."""
    body = envelope(create_time="yesterday")

    assert handler().parse(signed(body), body).create_time is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2018-06-08T10:34:56+08:00", "2018-06-08T10:34:56+08:00"),
        ("2018-06-08T02:34:56Z", "2018-06-08T02:34:56+00:00"),
        ("2018-06-08T10:34:56.123+08:00", "2018-06-08T10:34:56.123000+08:00"),
        ("2018-06-08T10:34:56", "2018-06-08T10:34:56+08:00"),
    ],
)
def test_create_time_is_aware(text, expected):
    """A time without an offset is Beijing's."""
    body = envelope(create_time=text)

    assert expected == handler().parse(signed(body), body).create_time.isoformat()


def test_missing_words_are_empty():
    """What an event does not say is not a reason to lose it."""
    body = envelope(summary=..., event_type=..., create_time=..., inner={"original_type": ...})
    found = handler().parse(signed(body), body)

    assert ("", "", None, "") == (found.summary, found.event_type, found.create_time, found.original_type)


def test_repr_shows_neither_event_nor_body():
    """What is shown can be logged."""
    body = envelope()
    found = handler().parse(signed(body), body)

    assert f"<Notification TRANSACTION.SUCCESS {ID}>" == repr(found) == str(found)


def test_apiv3_key_may_be_bytes():
    """Some keep keys as bytes."""
    body = envelope()

    assert ID == handler(apiv3_key=APIV3_KEY.encode()).parse(signed(body), body).id
