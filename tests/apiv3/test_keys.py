"""Which keys are trusted, which one is preferred, and for how long."""

from __future__ import annotations

import time

import keys
import pytest
import rotation
from rotation import SERIALS

from wechatpay.apiv3.keyring import Keyring, PlatformKey
from wechatpay.apiv3.keys import PlatformKeys
from wechatpay.errors import ConfigurationError

NOW = time.time()
DAY = 86400
OLD, NEW, THIRD = (SERIALS[name] for name in ("old", "new", "third"))


def certified(name, days=(-1, 365)):
    """Give the platform certificate of that name as a key."""
    return PlatformKey.from_certificate(SERIALS[name], rotation.certificate(name, days))


def named(*made):
    """Give keys by serial number."""
    return {key.serial: key for key in made}


def bare(serial):
    """Give a public key under that id."""
    return PlatformKey(serial, keys.public_key("platform"))


def test_public_key_is_preferred_to_any_certificate():
    """A merchant that has a public key uses it, however new a certificate is."""
    keyring = Keyring(
        named(certified("old"), bare("PUB_KEY_ID_1"), bare("PUB_KEY_ID_2")), named(certified("new"))
    )

    assert "PUB_KEY_ID_1" == keyring.preferred(NOW).serial


@pytest.mark.parametrize("order", [("old", "new"), ("new", "old")])
def test_newest_valid_certificate_is_preferred(order):
    """Of two valid certificates the one that began later is used."""
    days = {"old": (-100, 30), "new": (-1, 365)}
    keyring = Keyring(fetched=named(*(certified(name, days[name]) for name in order)))

    assert NEW == keyring.preferred(NOW).serial


def test_certificate_that_has_not_begun_is_not_preferred():
    """The next certificate is offered days before it may be used."""
    keyring = Keyring(fetched=named(certified("old", (-100, 30)), certified("new", (2, 365))))

    assert OLD == keyring.preferred(NOW).serial
    assert NEW == keyring.preferred(NOW + 3 * DAY).serial


def test_ended_certificate_is_never_preferred():
    """Nothing is encrypted with a certificate whose time is over."""
    assert Keyring(named(certified("old", (-30, -1)))).preferred(NOW) is None


def test_certificate_verifies_within_its_dates_alone():
    """A certificate verifies what was signed between its dates, and nothing else."""
    keyring = Keyring(named(certified("old", (-30, -10))))

    assert keyring.get(OLD, NOW - 20 * DAY) is not None
    assert keyring.get(OLD, NOW) is None
    assert keyring.get(OLD, NOW - 31 * DAY) is None
    assert keyring.get(OLD) is not None


def test_changes_leave_the_value_alone():
    """Who holds a set keeps it as it was."""
    before = Keyring(named(certified("old")))
    after = before.with_(certified("new")).without(OLD)

    assert (OLD,) == before.serials
    assert (NEW,) == after.serials


def test_download_brings_nothing_back_that_was_retired():
    """A retired key stays away until it is added again."""
    keyring = Keyring(fetched=named(certified("old"), certified("new"))).without(OLD)
    keyring = keyring.refreshed(named(certified("old"), certified("new")), int(NOW), NOW)

    assert (NEW,) == keyring.serials
    assert {OLD, NEW} == set(keyring.with_(certified("old")).serials)


def test_certificate_that_is_no_longer_offered_verifies_for_ten_minutes():
    """Responses in flight are still verified with it; nothing new is encrypted with it."""
    keyring = Keyring(fetched=named(certified("old")), as_of=1)
    keyring = keyring.refreshed(named(certified("new", (-200, 365))), int(NOW), NOW)

    assert NEW == keyring.preferred(NOW).serial
    assert keyring.get(OLD, NOW + 599).is_retiring
    assert keyring.get(OLD, NOW + 601) is None
    later = keyring.refreshed(named(certified("new")), int(NOW), NOW + 300)
    assert later.get(OLD, NOW + 601) is None
    assert (NEW,) == keyring.refreshed(named(certified("new")), int(NOW), NOW + 700).serials


def test_certificate_that_is_offered_again_is_whole_again():
    """A list that was short for once does no lasting harm."""
    keyring = Keyring(fetched=named(certified("old")), as_of=1).refreshed(named(certified("new")), 2, NOW)
    keyring = keyring.refreshed(named(certified("old")), 3, NOW)

    assert not keyring.get(OLD).is_retiring
    assert keyring.get(OLD, NOW + 3600) is not None


def test_download_leaves_the_callers_keys_alone():
    """What was given is used as it was given."""
    keyring = Keyring(named(bare("PUB_KEY_ID_1"), certified("old"))).refreshed(
        named(certified("new")), 1, NOW
    )

    assert ("PUB_KEY_ID_1", OLD, NEW) == keyring.serials
    assert [False, False, False] == [key.is_retiring for key in keyring.keys]


@pytest.fixture
def platform():
    """Give a trust set with one public key."""
    serial = f"{keys.MERCHANT_SERIAL:040X}"
    return PlatformKeys.load({"PUB_KEY_ID_1": keys.public_key("platform")}, merchant_serial=serial)


def test_keys_are_added_and_retired_on_a_live_set(platform):
    """A key is trusted as soon as it is added, and not trusted as soon as it is retired."""
    platform.add(NEW, rotation.certificate("new"))
    assert NEW == platform.get(NEW).serial
    platform.retire("PUB_KEY_ID_1")

    assert platform.get("PUB_KEY_ID_1") is None
    assert NEW == platform.preferred.serial
    assert f"<PlatformKeys {NEW}>" == repr(platform)


@pytest.mark.parametrize(
    ("serial", "key", "why"),
    [
        pytest.param("", "x", "as text", id="blank"),
        pytest.param(1, "x", "as text", id="number"),
        pytest.param(
            f"{keys.MERCHANT_SERIAL:040X}", keys.public_key("platform"), "merchant's own", id="merchant"
        ),
        pytest.param(f"{keys.MERCHANT_SERIAL:x}", keys.public_key("platform"), "merchant's own", id="short"),
        pytest.param(NEW, rotation.certificate("old"), "has the serial number", id="another"),
        pytest.param(NEW, "nonsense", r"platform\['5A", id="nonsense"),
    ],
)
def test_wrong_key_is_not_added(platform, serial, key, why):
    """What the setting `certs` refuses is refused here."""
    with pytest.raises(ConfigurationError, match=why):
        platform.add(serial, key)

    assert ("PUB_KEY_ID_1",) == platform.serials


def test_unknown_key_cannot_be_retired(platform):
    """A typing error is not taken for a success."""
    with pytest.raises(ConfigurationError, match="there is no key 'PUB_KEY_ID_2'; there are PUB_KEY_ID_1"):
        platform.retire("PUB_KEY_ID_2")


def test_serial_number_may_lack_its_leading_zero():
    """A certificate may be known by its serial number with or without the zero that DER cannot hold."""
    made = keys.certificate("new", 0x0A << 148)
    own = f"{0x0A << 148:040X}"

    for serial in (own, own.lstrip("0")):
        assert made.not_valid_before_utc == PlatformKeys().add(serial, made).not_before


def test_keys_show_no_key_material():
    """The `repr` of a key holds its serial number and dates alone."""
    assert "public_key" not in repr(certified("new"))
