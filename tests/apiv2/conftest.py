"""What the tests of APIv2 ask for."""

from __future__ import annotations

import pytest
from digests import NONCE, SECRET, response_body
from merchants import MCHID
from wire.gateway import reply

from wechatpay.options import Arguments

FIELDS = {"mch_id": MCHID, "nonce_str": NONCE}


@pytest.fixture
def instance(build, gateway):
    """Give a Builder with APIv2's settings alone, calling a gateway that returns a success."""
    gateway.respond(reply(response_body()))
    return build(serial=None, private_key=None, certs=None, secret=SECRET)


@pytest.fixture
def sent(instance):
    """Give a function that begins a call and gives the request that would leave, without sending it."""

    def begin(verb, uri, options, root=instance):
        _, flow = root.getDriver()._begin(verb.upper(), uri, Arguments((options, {})))
        return next(flow)

    return begin


@pytest.fixture
def ask(client, instance, gateway):
    """Give a function that makes a call whose response has a body."""

    def ask(body, path="pay/orderquery", status="200 OK", headers=(), xml=FIELDS, **options):
        gateway.respond(reply(body, status, *headers))
        return client.call(instance.chain(f"v2/{path}"), "post", xml=xml, **options)

    return ask
