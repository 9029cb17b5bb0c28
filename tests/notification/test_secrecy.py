"""No secret and nothing about a person in what is logged, shown, raised or sent back."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import pickle
import traceback

import digests
import pytest
from notification.callbacks import (
    APIV3_KEY,
    NOW,
    ORDER,
    REFUND,
    closed,
    envelope,
    event,
    handler,
    payment,
    refund,
    signed,
)

BODY = envelope()
CIPHERTEXT = json.loads(BODY)["resource"]["ciphertext"]

SECRETS = {
    "apiv3_key": APIV3_KEY,
    "secret": digests.SECRET,
    "secret's digest": hashlib.md5(digests.SECRET.encode()).hexdigest(),
    "openid": ORDER["payer"]["openid"],
    "order": ORDER["out_trade_no"],
    "refund": REFUND["refund_id"],
    "payment": "1409811653",
    "cipher text": CIPHERTEXT,
    "req_info": closed(b"<root/>")[:20],
    "signature": signed(BODY)["Wechatpay-Signature"],
    "state": "USER_PAID",
}

GOOD = {
    "v3": (signed(BODY), BODY),
    "payment": ({}, payment()),
    "refund": ({}, refund()),
    "event": ({}, event()),
}

BAD = {
    "stale": (signed(BODY, at=NOW - 10**6), BODY, {}),
    "forged": (signed(BODY, key="stranger"), BODY, {}),
    "tampered": (signed(BODY), BODY.replace(b"SUCCESS", b"FAILURE"), {}),
    "reencoded": (signed(BODY), json.dumps(json.loads(BODY)).encode(), {}),
    "unsigned": ({}, BODY, {}),
    "unknown": (signed(BODY, serial="S"), BODY, {}),
    "probe": (signed(BODY) | {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/x"}, BODY, {}),
    "key": (signed(BODY), BODY, {"apiv3_key": "0" * 32}),
    "payment": ({}, payment(total_fee="9").replace(b">9<", b">8<"), {}),
    "refund": ({}, refund(secret="another0secret0of032characters0x"), {}),
    "merchant": ({}, payment(mch_id="7"), {}),
    "event": ({}, event(event_nonce="fdasflkja485"), {}),
    "nested": ({}, payment().replace(b"<total_fee>1<", b"<total_fee><a>1</a><"), {}),
    "resource": (signed(envelope(b"oUpF8uMuAJOM2pxb1Q")), envelope(b"oUpF8uMuAJOM2pxb1Q"), {}),
}


@pytest.fixture
def spoken(caplog):
    """Give a function that tells which secrets are in what was logged, or in the given texts."""
    caplog.set_level(logging.DEBUG)

    def leaks(*texts):
        everything = "\n".join([caplog.text, *map(str, texts)])
        return [name for name, secret in SECRETS.items() if secret in everything]

    return leaks


def test_secrets_are_found_where_they_are(spoken):
    """The search itself works."""
    assert ["apiv3_key"] == spoken(f"the key is {APIV3_KEY}")


@pytest.mark.parametrize(("headers", "body"), GOOD.values(), ids=GOOD)
def test_accepted_callback_shows_nothing(spoken, headers, body):
    """Neither its log lines, nor what is shown of it, its handler, its store or its reply."""
    service, seen = handler(), []
    replies = [asyncio.run(service.ahandle(headers, body, seen.append)) for _ in range(2)]
    shown = [repr(thing) for thing in (*seen, *replies, service, service.store, service._xml)]

    assert 1 == len(seen)
    assert [] == spoken(*shown, *(reply.body for reply in replies))


@pytest.mark.parametrize(("headers", "body", "settings"), BAD.values(), ids=BAD)
def test_refused_callback_shows_nothing(spoken, headers, body, settings):
    """Neither the error, its traceback, its pickle, nor the reply, which goes to whoever sent it."""
    service = handler(**settings)
    reply = service.handle(headers, body, print)
    with pytest.raises(Exception) as caught:  # noqa: PT011  the kinds are the concern of other tests
        service.parse(headers, body)
    told = "".join(traceback.format_exception(caught.value))

    assert 400 <= reply.status
    assert [] == spoken(told, repr(caught.value), pickle.dumps(caught.value), repr(reply), reply.body)


def test_failed_process_shows_nothing(spoken):
    """What it raises is raised, and nothing is added to it."""

    def fail(_):
        raise LookupError

    with pytest.raises(LookupError) as caught:
        handler().handle(signed(BODY), BODY, fail)

    assert [] == spoken("".join(traceback.format_exception(caught.value)))


@pytest.mark.parametrize(
    "settings", [{"apiv3_key": APIV3_KEY + "!"}, {"secret": digests.SECRET.encode()}], ids=str
)
def test_wrong_setting_is_not_shown(spoken, settings):
    """A key that is too long is still a key."""
    with pytest.raises(ValueError, match=r"^(apiv3_key|secret): ") as caught:
        handler(**settings)

    assert [] == spoken("".join(traceback.format_exception(caught.value)))
