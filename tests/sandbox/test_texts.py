"""Whatever a text or a file holds, the library and the sandbox, which share no code, agree on it."""

from __future__ import annotations

import itertools

import sandboxes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wechatpay.media import Media

#: Texts that XML can carry.
TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\r\n\t"),
    max_size=30,
)
MARKUP = st.lists(
    st.sampled_from(["]]>", "<![CDATA[", "&amp;", "&", "<", "]", "\r\n", "=", "茶"]), max_size=6
)
NUMBERS = itertools.count()

QUICK = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(attach=TEXT | MARKUP.map("".join), sign_type=st.sampled_from(["MD5", "HMAC-SHA256"]))
@QUICK
def test_any_text_of_apiv2_is_accepted_and_comes_back(instance, attach, sign_type):
    """It is signed and written as the other side reads and verifies it, in both directions."""
    given = sandboxes.fields(out_trade_no=f"N{next(NUMBERS)}", attach=attach, sign_type=sign_type)
    instance.v2.pay.unifiedorder.post(xml=given)
    ours = {name: given[name] for name in ("appid", "mch_id", "out_trade_no")}

    assert attach == instance.v2.pay.orderquery.post(xml={**ours, "sign_type": sign_type}).xml().get(
        "attach", ""
    )


@given(content=st.binary(min_size=1, max_size=200), name=TEXT)
@QUICK
def test_any_file_is_accepted(instance, content, name):
    """Its bytes, and its name, may look like the form around them."""
    for file in (content, b"\r\n--" + content + b"--\r\n"):
        response = instance.v3.merchant.media.upload.post(media=Media(file, filename=f"{name}.jpg"))

        assert 200 == response.status_code
