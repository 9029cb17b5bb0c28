"""What a request signs, line by line; and what was signed instead when the signature is wrong.

A signature does not show what was signed. So the usual mistakes are made one after the other until a text is
found that the signature fits.

https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

from __future__ import annotations

import json
from base64 import b64decode
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512, HashAlgorithm

from wechatpay.sandbox import xml_messages
from wechatpay.sandbox.signing import SIGN_TYPES, digest, digest_text
from wechatpay.sandbox.uploads import signed_body
from wechatpay.sandbox.verification import parse_authorization

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from wechatpay.sandbox.exchanges import Exchange
    from wechatpay.sandbox.keys import Identity
    from wechatpay.sandbox.messages import HttpRequest

__all__ = ["explain"]

#: What is wrong, by the names of the mistakes.
MISTAKES = {
    "target": "the signed target is another one than the request's",
    "method": "the signed method is another one than the request's",
    "body": "the signed body is another one than the request's",
    "end": "the last line does not end in a line feed",
    "lines": "the lines end in CR LF instead of LF",
    "order": "the timestamp and the nonce are interchanged",
    "hash": "the signature is not RSA with SHA-256 and PKCS #1 v1.5",
    "encoding": "the signature is not Base64",
    "key": "the signature was made with another key than the one of serial_no",
    "fields": "other fields were signed than the request has",
    "case": "the digest is in lower case",
    "sort": "the fields were not sorted by name",
    "sign_type": "the digest is of another kind than sign_type says",
    "secret": "the signed text does not end in &key= and the APIv2 key",
}

_UNKNOWN = {
    "mistake": "unknown",
    "reason": "none of the usual mistakes: compare this text with the one that you sign, and check the key",
}


def explain(exchange: Exchange, identities: Mapping[str, Identity]) -> dict[str, Any] | None:
    """Describe what a request should have signed.

    Args:
        exchange: The request.
        identities: The merchants of the sandbox, by ``mchid``.

    Returns:
        ``lines`` with a name and a text each; ``text``, which is signed; and of a wrong signature
        ``mistake``, ``reason`` and, if it is found, what was ``signed`` with the index where it ``parts``.
        ``None`` if the request carries no signature.
    """
    if exchange.protocol == "v3":
        return _explain_header(exchange.request, exchange.mchid, identities)
    return (
        _explain_fields(exchange.request, identities[exchange.mchid]) if exchange.protocol == "v2" else None
    )


def _explain_header(
    request: HttpRequest, mchid: str, identities: Mapping[str, Identity]
) -> dict[str, Any] | None:
    given = parse_authorization(request.headers.get("Authorization", ""))
    if given is None:
        return None
    names = ("method", "target", "timestamp", "nonce_str", "body")
    body = signed_body(request).decode("utf-8", "replace")
    texts = (request.method, request.target, given["timestamp"], given["nonce_str"], body)
    expected = "\n".join((*texts, ""))
    found = {
        "lines": [{"name": name, "text": text} for name, text in zip(names, texts, strict=True)],
        "text": expected,
        "signature": given["signature"],
    }
    key = identities[mchid].private_key.public_key()
    if _fits(key, given["signature"], expected):
        return found
    others = [identity for identity in identities.values() if identity.mchid != mchid]
    return {**found, **_find_mistake(request, texts, given["signature"], key, others)}


def _find_mistake(
    request: HttpRequest,
    texts: tuple[str, ...],
    signature: str,
    key: RSAPublicKey,
    others: list[Identity],
) -> dict[str, Any]:
    expected = "\n".join((*texts, ""))
    try:
        decoded = b64decode(signature, validate=True)
    except ValueError:
        return _mistake("encoding")
    for hashing, padding in _schemes():
        if _verifies(key, decoded, expected, hashing, padding):
            return _mistake("hash")
    if any(_fits(identity.private_key.public_key(), signature, expected) for identity in others):
        return _mistake("key")
    for mistake, text in _variants(request, texts):
        if _verifies(key, decoded, text, SHA256(), PKCS1v15()):
            return _mistake(mistake, expected, text)
    return _UNKNOWN


def _mistake(name: str, expected: str = "", signed: str = "") -> dict[str, Any]:
    made = {"mistake": name, "reason": MISTAKES[name]}
    if not signed:
        return made
    same = (i for i, pair in enumerate(zip(expected, signed, strict=False)) if pair[0] != pair[1])
    return {**made, "signed": signed, "parts": next(same, min(len(expected), len(signed)))}


def _variants(request: HttpRequest, texts: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Return texts that clients sign by mistake: one part is wrong, or two are."""
    method, target, timestamp, nonce, body = texts
    targets = [("", target), *(("target", wrong) for wrong in _wrong_targets(request))]
    bodies = [("", body), *(("body", wrong) for wrong in _wrong_bodies(body))]
    methods = [("", method), ("method", method.lower()), ("method", "POST"), ("method", "GET")]
    ends = [("", "\n"), ("end", "")]
    for end, named_method, named_target, named_body in product(ends, methods, targets, bodies):
        choice = (named_method, named_target, named_body, end)
        wrong = [name for name, _ in choice if name]
        if 0 < len(wrong) <= 2:  # noqa: PLR2004  more than two are no coincidence
            head = f"{named_method[1]}\n{named_target[1]}\n{timestamp}\n{nonce}\n"
            yield wrong[0], f"{head}{named_body[1]}{end[1]}"
    yield "order", f"{method}\n{target}\n{nonce}\n{timestamp}\n{body}\n"
    yield "lines", "\r\n".join((*texts, ""))


def _wrong_targets(request: HttpRequest) -> Iterator[str]:
    target, path, host = request.target, request.path, request.headers.get("Host", "")
    yield path
    yield unquote(target)
    yield target.removeprefix("/")
    yield path.removeprefix("/")
    yield target.removeprefix("/v3")
    yield f"{path}?"
    for scheme, authority in product(("http", "https"), (host, "api.mch.weixin.qq.com")):
        yield f"{scheme}://{authority}{target}"
    query = target.partition("?")[2].split("&")
    yield f"{path}?{'&'.join(sorted(query))}"


def _wrong_bodies(body: str) -> Iterator[str]:
    yield ""
    yield "{}"
    yield "null"
    yield body.strip()
    yield f"{body}\n"
    yield body.replace("/", "\\/")
    yield body.replace("\\/", "/")
    try:
        value = json.loads(body)
    except ValueError:
        return
    for ascii_only, sort, separators, indent in product(
        (True, False), (True, False), ((",", ":"), (", ", ": ")), (None, 2, 4)
    ):
        yield json.dumps(value, ensure_ascii=ascii_only, sort_keys=sort, separators=separators, indent=indent)


def _schemes() -> Iterator[tuple[HashAlgorithm, AsymmetricPadding]]:
    hashes: tuple[HashAlgorithm, ...] = (SHA1(), SHA256(), SHA512())  # noqa: S303  clients use them by mistake
    for hashing in hashes:
        yield hashing, PKCS1v15()
        yield hashing, PSS(MGF1(hashing), PSS.AUTO)


def _fits(key: RSAPublicKey, signature: str, text: str) -> bool:
    try:
        decoded = b64decode(signature, validate=True)
    except ValueError:
        return False
    return _verifies(key, decoded, text, SHA256(), PKCS1v15())


def _verifies(
    key: RSAPublicKey, signature: bytes, text: str, hashing: HashAlgorithm, padding: AsymmetricPadding
) -> bool:
    try:
        key.verify(signature, text.encode("utf-8", "surrogateescape"), padding, hashing)
    except InvalidSignature:
        return False
    return True


def _explain_fields(request: HttpRequest, identity: Identity) -> dict[str, Any] | None:
    try:
        sent = xml_messages.read(request.body) if request.body else dict(request.query)
    except ValueError:
        return None
    if "sign" not in sent:
        return None
    signed = {name: value for name, value in sent.items() if value and name != "sign"}
    names = sorted(signed)
    lines = [{"name": name, "text": f"{name}={signed[name]}"} for name in names]
    lines.append({"name": "key", "text": "key=<APIv2 key>"})
    found = {
        "lines": lines,
        "text": "&".join(line["text"] for line in lines),
        "signature": sent["sign"],
    }
    sign_type = sent.get("sign_type") or SIGN_TYPES[0]
    if sign_type not in SIGN_TYPES:
        return {**found, **_mistake("sign_type")}
    if digest(sent, identity.secret, sign_type) == sent["sign"]:
        return found
    return {**found, **_find_field_mistake(sent, signed, identity.secret, sign_type)}


def _find_field_mistake(  # noqa: PLR0911  one return a mistake
    sent: Mapping[str, str], signed: Mapping[str, str], secret: str, sign_type: str
) -> dict[str, Any]:
    given = sent["sign"].upper()
    other = SIGN_TYPES[sign_type == SIGN_TYPES[0]]
    if given == digest(signed, secret, sign_type):
        return _mistake("case")
    if given in {digest(signed, secret, other), digest({**signed, "sign_type": ""}, secret, other)}:
        return _mistake("sign_type")
    laid_out = "&".join(f"{name}={signed[name]}" for name in sorted(signed))
    if given in {digest_text(f"{laid_out}{end}".encode(), secret, sign_type) for end in ("", "&", secret)}:
        return _mistake("secret")
    for name in signed:
        if given == digest({n: v for n, v in signed.items() if n != name}, secret, sign_type):
            return {**_mistake("fields"), "reason": f"the field {name} was not signed"}
    unsorted = "&".join(f"{name}={value}" for name, value in signed.items())
    if given == digest_text(f"{unsorted}&key={secret}".encode(), secret, sign_type):
        return _mistake("sort")
    empty = {name: value for name, value in sent.items() if name != "sign"}
    with_empty = "&".join(f"{name}={empty[name]}" for name in sorted(empty))
    if given == digest_text(f"{with_empty}&key={secret}".encode(), secret, sign_type):
        return {**_mistake("fields"), "reason": "empty fields were signed"}
    return _UNKNOWN
