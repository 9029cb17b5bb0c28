"""Encrypted parameters of a query are decrypted with WeChat Pay's key, plain ones refused, as in bodies."""

from __future__ import annotations

import asyncio

import documented
import pytest
import sandboxes

from wechatpay import APIError, Builder, Sensitive, catalogue
from wechatpay.sandbox import Sandbox

PATH = "v3/realname/verify"


@pytest.fixture(scope="module")
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity()) as running:
        yield running


def query(name):
    """Return the parameters with a name."""
    required = catalogue.find("GET", PATH).query
    return {**documented.members(required), "encrypted_name": name}


@pytest.mark.parametrize("way", ["sync", "async"])
def test_encrypted_parameter_is_decrypted(sandbox, way):
    """What the library encrypts is accepted."""

    async def get():
        async with Builder(**sandbox.settings()) as instance:
            return await instance.chain(PATH).getAsync(query=given)

    given = query(Sensitive("张三"))
    with Builder(**sandbox.settings()) as instance:
        response = asyncio.run(get()) if way == "async" else instance.chain(PATH).get(query=given)
    received = sandbox.requests[-1]
    sent = dict(received.query)["encrypted_name"]

    assert 200 == response.status_code
    assert "张三" == sandbox.decrypt(sent, received.headers["Wechatpay-Serial"])


@pytest.mark.parametrize("name", ["张三", "emhhbmc="], ids=["plain", "base64 of something else"])
def test_plain_parameter_is_refused(sandbox, name):
    """The error names the parameter, and does not repeat its value."""
    with Builder(**sandbox.settings()) as instance, pytest.raises(APIError) as caught:
        instance.chain(PATH).get(query=query(name))

    assert (400, "PARAM_ERROR") == (caught.value.status_code, caught.value.code)
    assert ("encrypted_name", "query", None) == tuple(
        caught.value.detail[member] for member in ("field", "location", "value")
    )


def test_missing_encrypted_parameter_is_refused(sandbox):
    """It is required like any other."""
    given = query(None)
    with Builder(**sandbox.settings()) as instance, pytest.raises(APIError, match="encrypted_name"):
        instance.chain(PATH).get(query=given)
