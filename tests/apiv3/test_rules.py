"""Rules of single paths hold wherever a base URI puts them."""

from __future__ import annotations

import pytest
from cases import each
from wire.gateway import reply

from wechatpay import IncompleteHeadersError


@each("prefix", ["", "hk/", "global/", "gateway/of/ours/"])
@each("written", ["path", "url"])
def test_download_below_a_prefix_is_unsigned_all_the_same(prefix, written, client, build, gateway):
    """Also when it is called by the whole URL that WeChat Pay, or a gateway in front, has given."""
    gateway.respond(reply(b"csv"))
    instance = build(base_uri=gateway.url + prefix)
    path = "v3/billdownload/file?token=a%2Fb"
    node = instance.chain(path if written == "path" else f"{gateway.url}{prefix}{path}")

    assert b"csv" == client.call(node, "get").content
    assert f"/{prefix}{path}" == gateway.seen[-1].target


@pytest.mark.parametrize("path", ["gateway/v3/billdownload/file", "other/v3/billdownload/file"])
def test_prefix_that_is_not_configured_makes_another_path(path, client, build, gateway):
    """Whatever is not known to be unsigned is verified."""
    gateway.respond(reply(b"csv"))
    with pytest.raises(IncompleteHeadersError):
        client.call(build()[path], "get")


def test_signed_path_below_a_prefix_is_verified(client, build, gateway):
    """The prefix takes nothing away, either."""
    instance = build(base_uri=f"{gateway.url}gateway/")
    node = instance.chain(f"{gateway.url}gateway/v3/x")

    assert 200 == client.call(node, "get").status_code

    gateway.respond(reply(b"{}"))
    with pytest.raises(IncompleteHeadersError):
        client.call(node, "get")
