"""APIv2's stack and settings: what may stand around a call, and what a call needs."""

from __future__ import annotations

import pytest
from digests import SECRET, digest, received
from interrupts import interrupted, local_variables
from merchants import MCHID

from wechatpay import Builder, ConfigurationError, InvalidRequestError
from wechatpay.options import Arguments

FIELDS = {"mch_id": MCHID, "out_trade_no": "1217752501201407033233368018"}


def test_retried_call_has_a_nonce_of_its_own(client, instance, gateway):
    """A middleware outside the signer sends again with a fresh nonce and a fresh ``sign``."""

    def twice(request, proceed):
        yield from proceed(request)
        return (yield from proceed(request))

    instance.getDriver().select("v2").stack.push(twice)
    client.call(instance.v2.pay.orderquery, "post", xml=FIELDS)
    client.call(instance.v2.pay.orderquery, "get", xml=FIELDS)
    fields = [received(seen) for seen in gateway.seen]

    assert 4 == len({one["nonce_str"] for one in fields})
    assert all(digest(one) == one["sign"] for one in fields)


def test_middleware_may_change_the_fields_before_they_are_signed(client, instance, gateway):
    """``request.parameters`` is what the signer will digest: one place to add what all calls carry."""

    def name_the_merchant(request, proceed):
        return (yield from proceed(request.with_(parameters={"mch_id": MCHID, **request.parameters})))

    instance.getDriver().select("v2").stack.push(name_the_merchant)
    client.call(instance.v2.pay.orderquery, "post", xml={"out_trade_no": "1"})
    fields = received(gateway.seen[0])

    assert (MCHID, digest(fields)) == (fields["mch_id"], fields["sign"])


def test_stack_has_the_names_of_apiv3(instance):
    """Middlewares are placed by the same names in both protocols."""
    assert ["signer", "verifier"] == list(instance.getDriver().select("v2").stack)


def test_what_was_signed_cannot_be_changed(client, instance, gateway):
    """A middleware inside the signer that changes the body is refused before sending."""

    def change(request, proceed):
        return (yield from proceed(request.with_(content=request.content.replace(b"1217", b"1218"))))

    instance.getDriver().select("v2").stack.after("signer", change)
    with pytest.raises(InvalidRequestError, match="signed"):
        client.call(instance.v2.pay.orderquery, "post", xml=FIELDS)

    assert [] == gateway.seen


def test_signer_can_be_taken_out(client, instance, gateway):
    """Without a signer the fields leave as they were given, for who signs by other means."""
    stack = instance.getDriver().select("v2").stack
    stack.remove("signer")
    client.call(instance.v2.pay.orderquery, "post", xml=FIELDS | {"sign": "MINE"}, nonceless=True)

    assert FIELDS | {"sign": "MINE"} == received(gateway.seen[0])


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"secret": SECRET}, "mchid"),
        ({"mchid": MCHID, "secret": ""}, "secret"),
        ({"mchid": MCHID, "secret": f"{SECRET}\n"}, "secret"),
        ({"mchid": MCHID, "secret": SECRET.encode()}, "secret"),
        ({"mchid": 1900000109, "secret": SECRET}, "mchid"),
    ],
    ids=["no-mchid", "empty", "line-break", "bytes", "number"],
)
def test_settings_that_cannot_sign_are_refused(given, named):
    """The error names the setting, and never shows the secret."""
    with pytest.raises(ConfigurationError, match=named) as caught:
        Builder(**given)

    assert SECRET not in str(caught.value)


def test_calls_need_the_settings_of_their_protocol(client, build, gateway):
    """A group that was left out is an error that says what it needs, at the call."""
    with pytest.raises(ConfigurationError, match="mchid and secret"):
        client.call(build().v2.pay.orderquery, "post", xml=FIELDS)
    alone = build(serial=None, private_key=None, certs=None, secret=SECRET)
    with pytest.raises(ConfigurationError, match="private_key"):
        client.call(alone.v3.certificates, "get")

    assert [] == gateway.seen


def test_php_dummies_are_to_be_left_out(client):
    """Ported APIv2 code passes dummies for APIv3: the error says to leave them out."""
    with pytest.raises(ConfigurationError, match="leave serial, private_key and certs out"):
        Builder.factory(
            {"mchid": MCHID, "serial": "nop", "privateKey": "any", "certs": {"any": None}, "secret": SECRET}
        )


def test_nothing_shows_the_secret(sent, instance):
    """Neither the settings nor a request shows what it was signed with."""
    request = sent("post", "v2/pay/orderquery", {"xml": FIELDS})

    for thing in (instance.getDriver()._settings, instance.getDriver(), request, request.snapshot):
        assert SECRET not in repr(thing)
    assert SECRET.encode() not in request.snapshot.text


def test_interruption_at_any_line_leaves_no_secret_in_the_frames():
    """Error trackers show local variables: a timer's exception while signing leaves no secret there."""
    driver = Builder(mchid=MCHID, secret=SECRET).getDriver()
    options = {"xml": FIELDS}

    def sign():
        _, flow = driver._begin("POST", "v2/pay/x", Arguments((options, {})))
        next(flow)
        flow.close()

    number, found = 0, []
    while error := interrupted(sign, number, ["/apiv2/digests", "/crypto/hashing"]):
        number, _ = number + 1, found.append(local_variables(error))

    assert 40 < number
    assert SECRET not in "\n".join(found)


def test_refused_call_leaves_no_field_in_the_frames_of_the_protocol(sent):
    """Nor does an error of ours show what the fields hold, but for the one that it names."""
    fields = {"mch_id": "1900000108", "re_user_name": "王小明"}
    with pytest.raises(InvalidRequestError) as caught:
        sent("post", "v2/pay/x", {"xml": fields})
    frames = local_variables(caught.value, "/apiv2/")

    assert "_check_merchant fields=<fields mch_id, re_user_name, nonce_str>" in frames
    assert "王小明" not in frames
