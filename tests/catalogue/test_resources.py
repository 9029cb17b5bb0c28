"""`resource()` types a callback's resource by its event, and refuses another callback."""

from __future__ import annotations

import pytest

from wechatpay import InvalidRequestError, Notification
from wechatpay.catalogue import resource


def notification(event_type="TRANSACTION.SUCCESS", version="v3"):
    """A verified callback."""
    return Notification(
        id="1",
        event_type=event_type,
        create_time=None,
        summary="",
        original_type="",
        resource={"out_trade_no": "N1"},
        plaintext=b"",
        raw=b"",
        version=version,
    )


def test_the_resource_of_the_named_event_is_returned():
    """At run time it is the notification's own mapping."""
    paid = notification()

    assert resource(paid, "TRANSACTION.SUCCESS") is paid.resource
    assert "N1" == resource(notification("", "v2"), "TRANSACTION.SUCCESS@v2")["out_trade_no"]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("REFUND.SUCCESS", "not 'REFUND.SUCCESS'"),
        ("NO.SUCH", "unknown 'NO.SUCH'"),
        ("TRANSACTION.SUCCESS@v2", "v3"),
    ],
)
def test_another_callback_is_refused(event, message):
    """A handler that names the wrong event learns so."""
    with pytest.raises(InvalidRequestError, match=message):
        resource(notification(), event)
