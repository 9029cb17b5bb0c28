"""Brands, which sign APIv3 requests under a scheme, and by an id, of their own."""

from __future__ import annotations

import digests
import keys
import merchants
import pytest
import smkeys
from strict import MERCHANT_SERIAL, RSA, Strict
from wire.gateway import reply

from wechatpay import APIError, Builder, ConfigurationError, SignatureError

BRAND_ID = "40005"
SCHEME = "WECHATPAY-BRAND-SHA256-RSA2048"


def settings(**changes):
    """Give settings of a brand."""
    return {"mchid": None, "brand_id": BRAND_ID, "serial": MERCHANT_SERIAL} | changes


@pytest.fixture
def wechat(gateway):
    """Give a WeChat Pay that takes this brand's requests alone."""
    gateway.behaviour = Strict(RSA, ("brand_id", BRAND_ID), scheme=SCHEME)
    return gateway.behaviour


@pytest.mark.parametrize(
    ("verb", "options"), [("get", {}), ("post", {"json": {"品": 1}})], ids=["get", "post"]
)
def test_brand_signs_by_its_own_id(gateway, wechat, build, client, verb, options):
    """`brand_id` takes the place of `mchid`, under the scheme of brands; responses are verified alike."""
    instance = build(**settings())

    assert {} == client.call(instance.brand.store.brandstores, verb, **options).json()
    assert ["/brand/store/brandstores"] == [seen.target for seen in gateway.seen]
    wechat.forge = lambda headers: headers | {"Wechatpay-Nonce": "another"}
    with pytest.raises(SignatureError):
        client.call(instance.brand.store.brandstores, verb, **options)


def test_merchant_is_not_a_brand(wechat, build, client):
    """Partners go on signing as merchants; the brand's id is a parameter of theirs."""
    with pytest.raises(APIError, match=r"\['scheme', 'layout', 'party'\]"):
        client.call(
            build(serial=MERCHANT_SERIAL).v3.brand.card.cardLinks, "get", query={"brand_id": BRAND_ID}
        )


def test_brand_may_call_apiv2_as_a_merchant(gateway, build, client):
    """APIv2 has merchants alone."""
    instance = build(**settings(mchid=merchants.MCHID, secret=digests.SECRET))
    gateway.respond(reply(b"<xml><return_code>FAIL</return_code></xml>"))
    with pytest.raises(APIError):
        client.call(instance.v2.pay.orderquery, "post", xml={"mch_id": merchants.MCHID})
    gateway.behaviour = Strict(RSA, ("brand_id", BRAND_ID), scheme=SCHEME)

    assert {} == client.call(instance.brand.store.brandstores, "get").json()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mchid": merchants.MCHID}, "mchid: leave it out beside brand_id"),
        ({"brand_id": 40005}, "brand_id: give it as text, not int"),
        ({"brand_id": 'a"b'}, "brand_id: give one word of ASCII"),
        ({"serial": None}, "serial: missing"),
        (
            {"private_key": None, "certs": None},
            "private_key, certs (or apiv3_key, to download them): missing",
        ),
        ({"serial": None, "private_key": None, "certs": None}, "serial, private_key, certs"),
    ],
    ids=["merchant", "number", "quote", "no serial", "no keys", "brand alone"],
)
def test_wrong_settings_of_a_brand_are_refused(changes, said):
    """A group that is begun is complete, and a request is signed by one party."""
    with pytest.raises(ConfigurationError) as caught:
        Builder(**merchants.settings(**settings(**changes)))

    assert str(caught.value).startswith(said)


def test_brand_has_an_rsa_key():
    """The scheme names RSA: an SM2 key is refused where it is given."""
    smkeys.gmssl()
    keys_of_sm = {"private_key": smkeys.private_pem(), "certs": {"PUB_KEY_ID_1": smkeys.public_pem()}}

    with pytest.raises(ConfigurationError, match="brand_id: a brand signs with an RSA key"):
        Builder(**merchants.settings(**settings(**keys_of_sm)))


def test_story_names_the_brand(wechat, build, caplog):
    """Who reads a log sees who signed."""
    caplog.set_level("DEBUG", "wechatpay")
    build(**settings()).brand.store.brandstores.get()

    assert f"as brand {BRAND_ID}, serial {MERCHANT_SERIAL}" in caplog.text
    assert keys.pem()[40:60] not in caplog.text
