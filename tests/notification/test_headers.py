"""The headers of a callback in the spelling of every framework."""

from __future__ import annotations

import email.message
import wsgiref.util
from collections.abc import Mapping

import pytest
from cases import each
from labels import stable_repr
from multidict import CIMultiDict, CIMultiDictProxy
from notification.callbacks import ID, envelope, handler, signed
from starlette.datastructures import Headers as StarletteHeaders
from werkzeug.datastructures import EnvironHeaders
from werkzeug.datastructures import Headers as WerkzeugHeaders

from wechatpay import InvalidRequestError, NotificationError
from wechatpay.notification import (
    ForgedNotificationError,
    UnknownSerialNotificationError,
    UnsignedNotificationError,
)

BODY = envelope()


class TitledHeaders(Mapping):
    """Headers as Tornado has them: capitalised, in an ordinary mapping of its own."""

    def __init__(self, fields):
        self._fields = {name.title(): value for name, value in fields.items()}

    def __getitem__(self, name):
        return self._fields[name.title()]

    def __iter__(self):
        return iter(self._fields)

    def __len__(self):
        return len(self._fields)


def environment(fields):
    """Make a WSGI environment, which holds much that is not a header."""
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in fields.items()}
    wsgiref.util.setup_testing_defaults(environ)
    return environ | {"wsgi.version": (1, 0)}


def message(fields):
    """Make the headers of `http.server`."""
    headers = email.message.Message()
    for name, value in fields.items():
        headers[name] = value
    return headers


def asgi(fields):
    """Make the headers of an ASGI scope."""
    return [(name.lower().encode(), value.encode()) for name, value in fields.items()]


SPELLINGS = {
    "mapping": dict,
    "lower": lambda fields: {name.lower(): value for name, value in fields.items()},
    "upper": lambda fields: {name.upper(): value for name, value in fields.items()},
    "bytes": lambda fields: {name.encode(): value.encode() for name, value in fields.items()},
    "underscores": lambda fields: {name.lower().replace("-", "_"): value for name, value in fields.items()},
    "pairs": lambda fields: list(fields.items()),
    "iterator": lambda fields: iter(fields.items()),
    "padded": lambda fields: {name: f" {value} " for name, value in fields.items()},
    "strange-names": lambda fields: fields | {7: "7", None: "", "": ""},
    "wsgi": environment,
    "asgi": asgi,
    "flask": lambda fields: EnvironHeaders(environment(fields)),
    "werkzeug": lambda fields: WerkzeugHeaders(list(fields.items())),
    "starlette": lambda fields: StarletteHeaders(raw=asgi(fields)),
    "aiohttp": lambda fields: CIMultiDictProxy(CIMultiDict(fields)),
    "tornado": TitledHeaders,
    "http.server": message,
}


@each("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_headers_are_found_in_every_spelling(spell):
    """Whatever a framework makes of the names, the callback is verified."""
    assert ID == handler().parse(spell(signed(BODY)), BODY).id


def test_django_headers_are_found():
    """Both ways in which Django gives headers do."""
    from django.http.request import HttpHeaders  # noqa: PLC0415  it wants no settings for this

    environ = environment(signed(BODY))

    assert ID == handler().parse(HttpHeaders(environ), BODY).id
    assert ID == handler().parse(environ, BODY).id


@pytest.mark.parametrize(
    "headers", [None, "Wechatpay-Nonce: 1", 7, [1], [("one",)], object()], ids=stable_repr
)
def test_what_are_no_headers_is_a_mistake_of_the_caller(headers):
    """Headers are a mapping or pairs."""
    with pytest.raises(InvalidRequestError, match=r"^headers: give a mapping, or pairs"):
        handler().parse(headers, BODY)


@pytest.mark.parametrize(
    "value", [None, 7, [], [7], object()], ids=["None", "int", "empty", "list", "object"]
)
def test_header_that_is_not_text_is_missing(value):
    """Nothing but text, or bytes, is a header's value."""
    with pytest.raises(UnsignedNotificationError, match="lacks Wechatpay-Nonce"):
        handler().parse(signed(BODY) | {"Wechatpay-Nonce": value}, BODY)


@pytest.mark.parametrize("kind", [list, tuple])
def test_values_of_api_gateways_are_lists(kind):
    """A header that came once is a list of one; one that came twice matches no signature."""
    headers = signed(BODY)
    handler().parse({name: kind([value]) for name, value in headers.items()}, BODY)

    with pytest.raises(NotificationError):
        handler().parse(headers | {"Wechatpay-Nonce": kind([headers["Wechatpay-Nonce"]] * 2)}, BODY)


@pytest.mark.parametrize("is_same", [True, False], ids=["same", "different"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Wechatpay-Timestamp", UnsignedNotificationError),
        ("Wechatpay-Nonce", ForgedNotificationError),
        ("Wechatpay-Serial", UnknownSerialNotificationError),
        ("Wechatpay-Signature", ForgedNotificationError),
    ],
)
def test_signature_header_that_comes_twice_is_refused(name, expected, is_same):
    """Nobody may choose between two values of what is signed; WeChat Pay sends one."""
    fields = signed(BODY)

    with pytest.raises(NotificationError) as caught:
        handler().parse([*fields.items(), (name.lower(), fields[name] if is_same else "1")], BODY)

    assert expected is type(caught.value)
