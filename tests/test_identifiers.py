"""Identifiers and keys have one spelling, and what was checked is what is sent."""

from __future__ import annotations

from enum import Enum

import keys
import merchants
import pytest
from digests import SECRET
from merchants import MCHID, MERCHANT_SERIAL

from wechatpay import Builder, ConfigurationError

PAIRS = ":".join(MERCHANT_SERIAL[place : place + 2] for place in range(0, 40, 2))


class Shop(str, Enum):  # noqa: UP042  a StrEnum prints as its text
    """Settings of a shop, as a program may hold them."""

    MCHID = MCHID
    SERIAL = MERCHANT_SERIAL
    SECRET = SECRET
    PLATFORM = "PUB_KEY_ID_0114232134912410000000000000"


class Hostile(str):
    """A text whose methods return what is true of another one."""

    __slots__ = ()

    def __str__(self):
        """Return another text."""
        return 'x",serial_no="y'

    __format__ = __str__

    def isprintable(self):
        """Return what the text is not."""
        return True

    isascii = isprintable


@pytest.mark.parametrize(
    "spelling",
    [
        MERCHANT_SERIAL.lower(),
        PAIRS,
        PAIRS.lower().replace(":", " "),
        f"serial={MERCHANT_SERIAL}\n",
        f" Serial = {MERCHANT_SERIAL}",
        str(keys.MERCHANT_SERIAL),
    ],
    ids=["lower case", "colons", "spaces", "openssl", "blanks", "decimal"],
)
def test_merchant_serial_is_sent_as_wechat_pay_writes_it(build, client, gateway, spelling):
    """WeChat Pay compares serial numbers as texts; tools print them in many ways."""
    client.call(build(serial=spelling).v3.x, "get")

    assert merchants.signed_text(gateway.seen[0])


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "nop",
        "3775B6A4-5ACD",
        "O775B6A4",
        MERCHANT_SERIAL + "0",
        "9" * 50,
        "serial=",
        "证书",
        Hostile("x\ny"),
    ],
)
def test_text_that_is_not_a_serial_number_is_refused(wrong):
    """The error says where the right one is found."""
    with pytest.raises(ConfigurationError, match=r"serial: .*openssl x509 -in apiclient_cert\.pem -noout"):
        Builder(**merchants.settings(serial=wrong))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_secret_has_32_characters(size):
    """A key that was cut while it was copied fails at construction, not at the first signature."""
    wrong = SECRET[:31] + "xy"[: size - 31] if size else ""
    with pytest.raises(ConfigurationError, match=r"secret: ") as caught:
        Builder(mchid=MCHID, secret=wrong)

    assert not wrong or wrong not in str(caught.value)
    assert not wrong or f"32 characters, got {size}" in str(caught.value)


def test_member_of_an_enum_goes_out_as_its_text(build, client, gateway):
    """``class Shop(str, Enum)`` prints as ``Shop.MCHID``: the exact text is sent."""
    certs = {Shop.PLATFORM: keys.public_key("platform")}
    instance = build(mchid=Shop.MCHID, serial=Shop.SERIAL, secret=Shop.SECRET, certs=certs)
    client.call(instance.v3.x, "get")
    settings = instance.getDriver()._settings

    assert merchants.signed_text(gateway.seen[0])
    assert Shop.PLATFORM.value == gateway.seen[0].headers["wechatpay-serial"]
    for text in (
        settings.merchant.id,
        settings.merchant.serial,
        settings.account.mchid,
        settings.account.secret,
        settings.merchant.platform.serials[0],
    ):
        assert str is type(text)


def test_proxy_of_an_enum_is_its_text():
    """Names and URLs of proxies, too, are those that were given."""

    class Proxy(str, Enum):  # noqa: UP042  as above
        SCHEME = "https"
        URL = "http://proxy.example:3128"

    settings = Builder(proxies={Proxy.SCHEME: Proxy.URL}).getDriver()._settings
    [(scheme, url)] = settings.transport.proxies.reveal().items()

    assert (str, str) == (type(scheme), type(url))
    assert ("https", "http://proxy.example:3128") == (scheme, url)


@pytest.mark.parametrize("name", ["mchid", "base_uri", "user_agent"])
def test_text_that_changes_after_the_check_is_taken_as_it_is(build, client, gateway, name):
    """A subclass of ``str`` cannot write a header of its own."""
    text = {"mchid": MCHID, "base_uri": gateway.url, "user_agent": "shop/1"}[name]
    client.call(build(**{name: Hostile(text)}).v3.x, "get")

    assert merchants.signed_text(gateway.seen[0])
    assert "serial_no" not in gateway.seen[0].headers["user-agent"]


@pytest.mark.parametrize("name", ["mchid", "user_agent"])
def test_hostile_text_is_refused(name):
    """The check looks at the text itself."""
    with pytest.raises(ConfigurationError, match=r"mchid|User-Agent"):
        Builder(**merchants.settings(**{name: Hostile("x\ny")}))
