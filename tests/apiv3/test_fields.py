"""Sensitive fields: encrypted under the key that the same request names, shown nowhere."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from base64 import b64decode
from urllib.parse import parse_qsl

import keys
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import MultiDict
from wire.gateway import SERIAL

from wechatpay import Sensitive
from wechatpay.apiv3.fields import FieldEncryptor
from wechatpay.apiv3.keyring import PlatformKey
from wechatpay.crypto import rsa
from wechatpay.errors import InvalidRequestError
from wechatpay.media import Media
from wechatpay.options import Arguments

NAME = "张三"
OTHER = "PUB_KEY_ID_0114232134912410000000000001"


def opened(text, name="platform"):
    """Decrypt as WeChat Pay does."""
    return rsa.decrypt(text, keys.private_key(name))


def begun(instance, verb, template, **options):
    """Give the request of a call that is not sent."""
    return instance.getDriver()._begin(verb.upper(), template, Arguments((options, {})))[0]


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        format,
        ascii,
        lambda value: f"{value:>40}",
        lambda value: "%s %r" % (value, value),  # noqa: UP031  the old way is to show nothing, too
        lambda value: repr({"name": [value]}),
        lambda value: logging.makeLogRecord({"msg": "%s", "args": (value,)}).getMessage(),
    ],
    ids=["repr", "str", "format", "ascii", "f-string", "percent", "inside", "log"],
)
def test_text_is_never_shown(show):
    """However it is printed, the text does not appear."""
    shown = show(Sensitive("13800138000"))

    assert "138" not in shown
    assert "Sensitive" in shown


def test_text_is_in_no_traceback():
    """A traceback with local variables shows none of it."""
    try:
        name = Sensitive(NAME)
        json.dumps({"name": name})
    except TypeError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)

    assert NAME not in "".join(shown.format())


def test_text_is_in_no_traceback_of_ours(instance):
    """An error about a text that is too long passes no frame that shows it."""
    value = Sensitive("secret" * 40)
    with pytest.raises(InvalidRequestError) as caught:
        begun(instance, "post", "v3/x", json={"name": value})
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)

    assert "secretsecret" not in "".join(shown.format())


def test_text_is_in_no_pickle():
    """What would leave the process is refused."""
    with pytest.raises(InvalidRequestError, match="never pickled"):
        pickle.dumps({"name": Sensitive(NAME)})


def test_value_is_one():
    """Equal texts are equal, copies are the same, nothing can be changed."""
    value = Sensitive(NAME)

    assert Sensitive(NAME) == value
    assert Sensitive("李四") != value
    assert NAME != value
    assert 1 == len({value, Sensitive(NAME)})
    assert value is copy.copy(value)
    assert [value] == copy.deepcopy([value])
    assert NAME == value.reveal()
    with pytest.raises(AttributeError):
        value._text = "x"


@pytest.mark.parametrize("text", [None, 13800138000, b"x", ["x"]])
def test_only_text_is_wrapped(text):
    """A number that lost its leading zero would be encrypted just as well."""
    with pytest.raises(InvalidRequestError, match="wraps text, not"):
        Sensitive(text)


def test_values_in_json_are_encrypted_wherever_they_are(client, instance, gateway):
    """In dicts, lists and tuples, at any depth; the rest stays as it is."""
    body = {"a": Sensitive(NAME), "b": [{"c": Sensitive("李四")}, (Sensitive(""), 1)], "d": NAME, "e": None}
    client.call(instance.v3.x, "post", json=body)
    sent = json.loads(gateway.seen[0].body)

    assert NAME == opened(sent["a"])
    assert "李四" == opened(sent["b"][0]["c"])
    assert ["", 1] == [opened(sent["b"][1][0]), sent["b"][1][1]]
    assert (NAME, None) == (sent["d"], sent["e"])
    assert SERIAL == gateway.seen[0].headers["wechatpay-serial"]


@pytest.mark.parametrize(
    "query",
    [
        {"a": Sensitive(NAME), "b": "x y"},
        [("a", Sensitive(NAME)), ("b", "x y")],
        {"a": [Sensitive(NAME)], "b": ("x y",), "c": None},
        MultiDict([("b", "x y"), ("a", Sensitive(NAME))]),
    ],
    ids=["mapping", "pairs", "lists", "multidict"],
)
def test_values_in_the_query_are_encrypted(client, instance, gateway, query):
    """A few endpoints take them in the query."""
    client.call(instance.v3.x, "get", query=query)
    sent = dict(parse_qsl(gateway.seen[0].target.partition("?")[2]))

    assert NAME == opened(sent["a"])
    assert "x y" == sent["b"]


def test_values_in_the_meta_of_an_upload_are_encrypted(client, instance, gateway):
    """What goes beside a file goes encrypted, too."""
    client.call(instance.v3.x, "post", media=Media(b"image", {"phone": Sensitive(NAME)}, filename="a.jpg"))
    meta = gateway.seen[0].body.split(b"\r\n\r\n")[1].split(b"\r\n")[0]

    assert NAME == opened(json.loads(meta)["phone"])


def test_caller_keeps_what_was_passed(instance):
    """Neither lists nor dicts of the caller's are changed."""
    body = {"a": [{"b": Sensitive(NAME)}], "c": {"d": 1}}
    query = {"q": [Sensitive(NAME)]}
    before = copy.deepcopy((body, query))
    begun(instance, "post", "v3/x", json=body, query=query)

    assert before == (body, query)


def test_each_encryption_is_another(instance):
    """The padding is random: equal texts do not look equal."""
    sent = json.loads(begun(instance, "post", "v3/x", json=[Sensitive(NAME)] * 2).content)

    assert sent[0] != sent[1]


def test_named_key_encrypts(client, build, gateway):
    """The key in a caller's Wechatpay-Serial is the one that is used, whatever the spelling."""
    instance = build(certs={SERIAL: keys.public_key("platform"), OTHER: keys.public_key("other")})
    client.call(instance.v3.x, "post", json=[Sensitive(NAME)], headers={"WECHATPAY-SERIAL": OTHER})
    [sent] = gateway.seen

    assert OTHER == sent.headers["wechatpay-serial"]
    assert NAME == opened(json.loads(sent.body)[0], "other")


def test_key_named_for_the_whole_builder_encrypts(client, build, gateway):
    """The same holds for the Builder's own headers."""
    certs = {SERIAL: keys.public_key("platform"), OTHER: keys.public_key("other")}
    instance = build(certs=certs, headers={"Wechatpay-Serial": OTHER})
    client.call(instance.v3.x, "post", json=[Sensitive(NAME)])

    assert OTHER == gateway.seen[0].headers["wechatpay-serial"]
    assert NAME == opened(json.loads(gateway.seen[0].body)[0], "other")


@pytest.mark.parametrize("serial", [None, "PUB_KEY_ID_9", ""])
def test_key_that_is_not_trusted_is_not_named(client, instance, gateway, serial):
    """A header without a key behind it is refused before anything is sent."""
    with pytest.raises(InvalidRequestError, match="Wechatpay-Serial must name a key"):
        client.call(instance.v3.x, "get", headers={"Wechatpay-Serial": serial})

    assert [] == gateway.seen


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"json": {"a": [{"b": Sensitive("x" * 215)}]}}, "json.a[0].b: plaintext: 215 bytes"),
        ({"query": {"a": [Sensitive("张" * 72)]}}, "query.a: plaintext: 216 bytes"),
        ({"json": [Sensitive("\ud800")]}, "json[0]: plaintext: holds lone surrogates"),
    ],
    ids=["json", "query", "surrogate"],
)
def test_text_that_cannot_be_encrypted_is_refused_by_its_place(client, instance, gateway, options, place):
    """The error names the place, and shows nothing of the text."""
    with pytest.raises(InvalidRequestError) as caught:
        client.call(instance.v3.x, "post" if "json" in options else "get", **options)

    assert str(caught.value).startswith(place)
    assert "xxx" not in str(caught.value)
    assert [] == gateway.seen


def test_longest_text_is_encrypted(instance):
    """214 bytes of UTF-8 are what a key of 2048 bits takes."""
    sent = json.loads(begun(instance, "post", "v3/x", json=[Sensitive("x" * 214)]).content)

    assert "x" * 214 == opened(sent[0])


def test_value_elsewhere_is_refused(client, instance, gateway):
    """What would be sent as text where it cannot be encrypted is an error, and shows nothing."""
    for options in ({"headers": {"X-Name": Sensitive(NAME)}}, {"body": Sensitive(NAME)}):
        with pytest.raises(InvalidRequestError) as caught:
            client.call(instance.v3.x, "post", **options)
        assert NAME not in str(caught.value)
    with pytest.raises(InvalidRequestError) as caught:
        client.call(instance.chain("v3/{name}"), "get", name=Sensitive(NAME))

    assert NAME not in str(caught.value)
    assert [] == gateway.seen


def test_structure_within_itself_is_refused(instance):
    """An endless structure is our error, with something sensitive in it or not."""
    endless = [Sensitive(NAME)]
    endless.append(endless)
    with pytest.raises(InvalidRequestError, match="nested too deeply, or within itself"):
        begun(instance, "post", "v3/x", json=[endless])
    blank = []
    blank.append(blank)
    with pytest.raises(InvalidRequestError, match="nested too deeply, or within itself"):
        begun(instance, "post", "v3/x", json=blank)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.text(max_size=9).map(Sensitive),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(value=JSON)
def test_any_structure_is_the_same_but_for_what_was_encrypted(value):
    """Decrypting gives back what was passed, and nothing else was touched."""
    encryptor = FieldEncryptor(PlatformKey(SERIAL, keys.public_key("platform")))
    before = copy.deepcopy(value)
    sealed = encryptor.json(value)

    assert before == value
    assert before == _compared(value, sealed)


def _compared(value, sealed):
    if isinstance(value, Sensitive):
        return Sensitive(_opened_by_hand(sealed))
    if isinstance(value, dict):
        assert list(value) == list(sealed)
        return {name: _compared(value[name], sealed[name]) for name in value}
    if isinstance(value, list):
        assert len(value) == len(sealed)
        return [_compared(*pair) for pair in zip(value, sealed, strict=True)]
    return sealed


def _opened_by_hand(text):
    """Decrypt as the documents say, without the package's help."""
    padding = OAEP(MGF1(SHA1()), SHA1(), None)
    return keys.private_key("platform").decrypt(b64decode(text, validate=True), padding).decode()
