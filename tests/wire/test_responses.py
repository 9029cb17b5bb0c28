"""Responses as servers, gateways and proxies really send them."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib

import pytest
from cases import each
from wire.gateway import proof, reply, signed

from wechatpay import (
    IncompleteHeadersError,
    NoResponseError,
    ServerError,
    SignatureError,
    VerificationError,
    retry,
)

SIGNING = ("Wechatpay-Nonce", "Wechatpay-Serial", "Wechatpay-Signature", "Wechatpay-Timestamp")

BODY = json.dumps({"name": "张三", "data": [1, 2.5, None]}, ensure_ascii=False).encode()


def chunked(body):
    """Lay a body out in chunks of seven bytes."""
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def encoded(encoding, body):
    """Lay out a signed response whose body is encoded, though nobody asked for it."""
    return reply(body, "200 OK", ("Content-Encoding", encoding), *proof(BODY))


RESPONSES = {
    "plain": lambda: signed(BODY),
    "gzip": lambda: encoded("gzip", gzip.compress(BODY)),
    "deflate": lambda: encoded("deflate", zlib.compress(BODY)),
    "raw deflate": lambda: encoded("deflate", zlib.compress(BODY, wbits=-15)),
    "chunked": lambda: reply(chunked(BODY), "200 OK", ("Transfer-Encoding", "chunked"), *proof(BODY)),
    "chunked gzip": lambda: reply(
        chunked(gzip.compress(BODY)),
        "200 OK",
        ("Transfer-Encoding", "chunked"),
        ("Content-Encoding", "gzip"),
        *proof(BODY),
    ),
    "chunked with trailers": lambda: reply(
        chunked(BODY)[:-2] + b"A: b\r\nC: d\r\n\r\n", "200 OK", ("Transfer-Encoding", "chunked"), *proof(BODY)
    ),
    "chunked last": lambda: reply(
        chunked(BODY), "200 OK", ("Transfer-Encoding", "identity, Chunked"), *proof(BODY)
    ),
    "201": lambda: signed(BODY, "201 Created"),
    "no reason": lambda: signed(BODY, "200 "),
    "interim": lambda: b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + signed(BODY),
    "until the end": lambda: signed(BODY, "200 OK", ("Connection", "close")).replace(
        b"Content-Length: %d\r\n" % len(BODY), b""
    ),
}


@each("received", RESPONSES.values(), ids=RESPONSES)
def test_response_is_verified_as_decoded(received, client, instance, gateway):
    """The signature is over the body that the caller gets, however it travelled."""
    last = b"Connection: close" in received()
    gateway.behaviour = lambda _, peer: (peer.send(received()), last and peer.close())
    response = client.call(instance.v3.x, "get")

    assert BODY == response.content
    assert json.loads(BODY) == response.json()
    assert "identity" == gateway.seen[-1].headers["accept-encoding"]


@pytest.mark.parametrize("status", ["204 No Content", "202 Accepted", "200 OK"])
def test_empty_response_is_verified(status, client, instance, gateway):
    """A response without a body is signed over none."""
    gateway.respond(reply(b"", status, *proof(b"")))
    response = client.call(instance.v3.x, "post")

    assert int(status[:3]) == response.status_code
    assert b"" == response.content
    assert response.json() is None

    gateway.respond(reply(b"", status, *proof(b"{}")))
    with pytest.raises(SignatureError):
        client.call(instance.v3.x, "post")


@pytest.mark.parametrize("header", [("Transfer-Encoding", "chunked"), ("Content-Length", "9")], ids=str)
@pytest.mark.parametrize("to_file", [False, True], ids=["memory", "file"])
def test_status_without_a_body_is_not_waited_for_one(header, to_file, client, instance, gateway, tmp_path):
    """A 204 ends with its headers, whatever they say of a body."""
    gateway.respond(reply(b"", "204 No Content", header, *proof(b"")))
    options = {"sink": tmp_path / "file"} if to_file else {}

    assert 204 == client.call(instance.v3.x, "post", timeout=2, **options).status_code


def test_length_beside_chunks_is_not_a_response(client, build, gateway):
    """Which of the two counts is not guessed, and neither goes past the limit of memory."""
    received = reply(
        chunked(BODY), "200 OK", ("Content-Length", "5"), ("Transfer-Encoding", "chunked"), *proof(BODY)
    )
    gateway.behaviour = lambda _, peer: (peer.send(received), peer.close())
    with pytest.raises(NoResponseError, match="outcome unknown"):
        client.call(build(max_response_size=5).v3.x, "get")


def test_blanks_around_a_value_are_no_part_of_it(client, instance, gateway):
    """RFC 9110, section 5.5: a signature is the same with a blank behind it."""
    gateway.respond(signed(BODY).replace(b"\r\nWechatpay-Nonce", b" \t\r\nWechatpay-Nonce"))

    assert BODY == client.call(instance.v3.x, "get").content


LENGTHS = {
    "negative": ("Content-Length", "-7", b""),
    "with a sign": ("Content-Length", "+2", b"{}"),
    "no number": ("Content-Length", "x", b"{}"),
    "empty": ("Content-Length", "", b"{}"),
    "two different": ("Content-Length", "2, 3", b"{}"),
    "beyond memory": ("Content-Length", "9" * 17, b"{}"),
    "beyond integers": ("Content-Length", "9" * 30, b"{}"),
    "beyond reading": ("Content-Length", "9" * 5000, b"{}"),
    "negative chunk": ("Transfer-Encoding", "chunked", b"-5\r\n{}\r\n0\r\n\r\n"),
    "chunk of no size": ("Transfer-Encoding", "chunked", b"zz\r\n{}\r\n0\r\n\r\n"),
    "chunk beyond memory": ("Transfer-Encoding", "chunked", b"7fffffffffffff\r\n{}\r\n0\r\n\r\n"),
    "chunk beyond integers": ("Transfer-Encoding", "chunked", b"f" * 30 + b"\r\n{}\r\n0\r\n\r\n"),
}


@each(("name", "value", "body"), LENGTHS.values(), ids=LENGTHS)
@each("to_file", [False, True], ids=["memory", "file"])
def test_length_that_nothing_has_is_not_a_response(
    name, value, body, to_file, client, instance, gateway, tmp_path
):
    """Where a body ends is not guessed, and no library's own error comes out."""
    received = reply(body, "200 OK", (name, value), *proof(b"{}"))
    gateway.behaviour = lambda _, peer: (peer.send(received), peer.close())
    options = {"sink": tmp_path / "file"} if to_file else {}
    with pytest.raises(NoResponseError, match="outcome unknown"):
        client.call(instance.v3.x, "get", **options)

    assert [] == list(tmp_path.iterdir())


@each("doubled", SIGNING)
def test_doubled_signature_header_proves_nothing(doubled, client, instance, gateway):
    """Of two values nobody can say which was meant; a header of another name may come twice."""
    fields = proof(BODY)
    more = [(name, value) for name, value in fields if name == doubled]
    gateway.respond(reply(BODY, "200 OK", *fields, *more))
    with pytest.raises(VerificationError) as caught:
        client.call(instance.v3.x, "get")
    assert caught.value.response.content == BODY

    gateway.respond(signed(BODY, "200 OK", ("Via", "a"), ("via", "b")))

    assert "a, b" == client.call(instance.v3.x, "get").headers["Via"]


@each("name", ["Wechatpay-Nonce", "Wechatpay-Serial", "Wechatpay-Signature", "Wechatpay-Timestamp"])
@each(
    "value",
    ["é", "\udc80", "１２３", "1\udc85"],
    ids=["latin-1", "stray byte", "full width", "blank behind"],
)
def test_header_beyond_ascii_is_malformed(name, value, client, instance, gateway):
    """Neither library's idea of such bytes decides."""
    spoilt = value.encode("utf-8", "surrogateescape").decode("latin-1")
    fields = [(key, spoilt if key == name else text) for key, text in proof(BODY)]
    gateway.respond(reply(BODY, "200 OK", *fields))
    with pytest.raises(IncompleteHeadersError, match="malformed"):
        client.call(instance.v3.x, "get")


@each("claimed", [b"\xff", b"\xc3\xa9", b"a" * 40], ids=["stray byte", "latin-1", "other"])
@each("body", [BODY, gzip.compress(BODY)], ids=["plain", "gzip"])
def test_statement_with_a_wrong_digest_is_refused(claimed, body, client, instance, gateway):
    """Whatever bytes the header holds, the error is ours."""
    header = claimed.decode("latin-1")
    gateway.respond(
        reply(body, "200 OK", ("Wechatpay-Statement-Sha1", header), *proof(b'{"sha1":"%b"}' % claimed))
    )
    with pytest.raises(SignatureError):
        client.call(instance.v3.statements, "get")


@each("case", [str.lower, str.upper], ids=["lower", "upper"])
@each(
    "wrap",
    [bytes, gzip.compress, lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])],
    ids=["plain", "gzip", "members"],
)
def test_statement_is_verified_by_its_digest(case, wrap, client, instance, gateway):
    """The SHA-1 is of the plain text, also when it comes as a gzip file."""
    digest = case(hashlib.sha1(BODY).hexdigest())
    text = b'{"sha1":"%b"}' % digest.encode()
    sent = wrap(BODY)  # once: gzip writes the time into its header
    gateway.respond(reply(sent, "200 OK", ("Wechatpay-Statement-Sha1", digest), *proof(text)))

    assert sent == client.call(instance.v3.statements, "get").content


@pytest.mark.parametrize("tail", [b"x", b"\x1f\x8b", gzip.compress(b"more")], ids=["junk", "torn", "member"])
def test_statement_with_something_appended_is_refused(tail, client, instance, gateway):
    """What follows the gzip file is not covered by its digest."""
    text = b'{"sha1":"%b"}' % hashlib.sha1(BODY).hexdigest().encode()
    digest = hashlib.sha1(BODY).hexdigest()
    gateway.respond(
        reply(gzip.compress(BODY) + tail, "200 OK", ("Wechatpay-Statement-Sha1", digest), *proof(text))
    )
    with pytest.raises(SignatureError):
        client.call(instance.v3.statements, "get")


def test_error_after_a_torn_download_is_verified_by_itself(client, instance, gateway, tmp_path):
    """What an earlier attempt received has no part in the proof of a later response."""
    torn = signed(BODY * 9)[:-9]
    responses = iter([torn, signed(b'{"code":"SYSTEM_ERROR"}', "500 Oops")])

    def received(_, peer):
        peer.send(reply := next(responses))
        if reply is torn:
            peer.close()

    gateway.behaviour = received
    instance.getDriver().select().stack.push(retry(2, delay=0))
    with pytest.raises(ServerError) as caught:
        client.call(instance.v3.statements, "get", sink=tmp_path / "statement.csv")

    assert caught.value.verified
    assert [] == list(tmp_path.iterdir())
