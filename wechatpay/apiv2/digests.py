"""APIv2 digests: the two middlewares that sign requests and verify answers.

https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_3
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from wechatpay import formatter, rules, transformer, uri
from wechatpay.apiv2 import responses as answers
from wechatpay.crypto import hashing
from wechatpay.errors import APIError, InvalidRequestError, SignatureError, VerificationError
from wechatpay.logs import log_step
from wechatpay.messages import Seal
from wechatpay.multipart import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.messages import Request, Response
    from wechatpay.middleware import Flow, Handler
    from wechatpay.settings import Account

__all__ = ["Signer", "Verifier", "parsed", "rendered"]

#: What the merchant id is called, here and there.
_MERCHANT = ("mch_id", "mchid", "combine_mch_id")

#: Hexadecimal digits of an HMAC-SHA256.
_LONG = 64


class Signer:
    """Signs requests; a middleware."""

    def __init__(self, account: Account, nonce: Callable[[], str]) -> None:
        self._account = account
        self._nonce = nonce

    def __call__(self, request: Request, proceed: Handler) -> Flow:
        """Draw the nonce, digest the fields, and put them where they are sent.

        Raises:
            InvalidRequestError: A field names another merchant, or has no text; or ``sign_type`` is unknown.
        """
        # Signed elsewhere: trackers show the local variables of every frame that an error passes.
        return (yield from proceed(self._signed(request)))

    def _signed(self, request: Request) -> Request:
        given = _given(request)
        _check_merchant(request, given, self._account.mchid)
        algorithm = _algorithm(given)
        if "nonce_str" in given and given["nonce_str"] in (None, ""):
            given["nonce_str"] = self._nonce()
        text = _digested(given)
        sign = hashing.sign(algorithm, text, self._account.secret)
        log_step(request, "signed %s fields as merchant %s, %s", len(given), self._account.mchid, algorithm)
        sealed = rendered(request.with_(parameters={**given, "sign": sign}))
        seal = Seal(sealed.method, sealed.target, sealed.content, text, sealed.upload)
        return sealed.with_(seal=seal)


def _given(request: Request) -> dict[str, Any]:
    """Copy the fields, as they will be sent, without ``sign``: a caller's own is never sent."""
    fields = request.parameters or {}
    if request.method == "GET":
        fresh = {name: None for name, value in fields.items() if name == "nonce_str" and value is None}
        fields = {**parsed(uri.query(fields)), **fresh}
    return {name: value for name, value in fields.items() if name != "sign"}


def _digested(fields: Mapping[str, Any]) -> bytes:
    try:
        return formatter.query_string_like(formatter.ksort(fields)).encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(
            "xml: holds a lone surrogate, which is no text that UTF-8 can carry"
        ) from None


def parsed(query: str) -> dict[str, str]:
    """Read a query's fields, to be digested.

    Raises:
        InvalidRequestError: A name comes twice, or a part is not UTF-8.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise InvalidRequestError("query: holds bytes that are not UTF-8, which APIv2 cannot sign") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidRequestError("query: a name comes twice, which APIv2 cannot sign; give it once")
    return fields


def rendered(request: Request) -> Request:
    """Put the fields where they are sent: in front of a file, into the query of a GET, else into XML.

    Raises:
        InvalidRequestError: A field cannot be written; the message names it.
    """
    fields = request.parameters or {}
    if request.upload is not None:
        parts = [Part(name, formatter.text(value, name)) for name, value in fields.items()]
        upload = request.upload.with_parts(*parts)
        return request.with_(upload=upload, headers={"Content-Length": str(len(upload))})
    if request.method == "GET":
        return request.with_(url=f"{request.url.partition('?')[0]}?{uri.query(fields)}")
    content = transformer.to_xml(fields).encode()
    return request.with_(content=content, headers={"Content-Length": str(len(content))})


def _check_merchant(request: Request, fields: Mapping[str, Any], mchid: str) -> None:
    """Hold back what would be signed in another merchant's name."""
    named = {
        name: formatter.text(value, name) for name in _MERCHANT if (value := fields.get(name)) is not None
    }
    if not any(named.values()) and not rules.names_no_merchant(request.route):
        raise InvalidRequestError(
            f"mch_id: missing; name the merchant {mchid}, as {', '.join(_MERCHANT)}", request=request
        )
    for name, value in named.items():
        if value != mchid:
            raise InvalidRequestError(
                f"{name}: {value!r} is not the configured mchid {mchid!r}", request=request
            )


def _algorithm(fields: Mapping[str, Any]) -> str:
    algorithm = fields.get("sign_type")
    if algorithm is None:
        return hashing.ALGO_MD5
    if isinstance(algorithm, str) and algorithm in hashing.ALGORITHMS:
        return algorithm
    raise InvalidRequestError(f"sign_type: {algorithm!r} is unknown; it is {' or '.join(hashing.ALGORITHMS)}")


class Verifier:
    """Verifies answers; a middleware."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def __call__(self, request: Request, proceed: Handler) -> Flow:
        """Let only answers pass that are WeChat Pay's; mark errors that are.

        Raises:
            VerificationError: The answer is not provably WeChat Pay's.
        """
        try:
            response = yield from proceed(request)
        except APIError as error:
            error.verified = error.response is not None and self._is_genuine(request, error.response)
            raise
        if flaw := self._flaw(request, response):
            raise SignatureError(
                f"{request.method} {request.path}: {flaw}", request=request, response=response
            )
        return response

    def _flaw(self, request: Request, response: Response) -> str | None:
        # Errors are raised elsewhere: trackers show the local variables of every frame that one passes.
        found = answers.fields(request, response) or {}
        if not found.get("sign") and _may_lack_sign(request):
            log_step(request, "answers here may come without sign, as this one does")
            return None
        return self._doubt(request, found)

    def _doubt(self, request: Request, found: Mapping[str, Any]) -> str | None:
        """Say why an answer may come from someone who does not know the secret."""
        sign = found.get("sign")
        if not isinstance(sign, str) or not sign:
            return "the answer carries no sign, so its outcome is unknown"
        is_long = (request.parameters or {}).get("sign_type") == hashing.ALGO_HMAC_SHA256
        asked = hashing.ALGO_HMAC_SHA256 if is_long else hashing.ALGO_MD5
        algorithm = hashing.ALGO_HMAC_SHA256 if len(sign) == _LONG else hashing.ALGO_MD5
        # Who asked for HMAC does not believe MD5; who asked for MD5 may well get the stronger one.
        if algorithm == hashing.ALGO_MD5 != asked:
            return f"the answer is signed with {algorithm}, the request with {asked}"
        if not self._belongs(found, sign, algorithm):
            return "sign does not belong to this answer"
        log_step(request, "verified, %s", algorithm)
        return None

    def _belongs(self, found: Mapping[str, Any], sign: str, algorithm: str) -> bool:
        try:
            text = formatter.query_string_like(formatter.ksort(found))
        except InvalidRequestError:
            return False
        return hashing.equals(hashing.sign(algorithm, text, self._account.secret), sign)

    def _is_genuine(self, request: Request, response: Response) -> bool:
        try:
            return self._doubt(request, answers.fields(request, response) or {}) is None
        except VerificationError:
            return False


def _may_lack_sign(request: Request) -> bool:
    return rules.is_unsigned_v2(request.route) or rules.answers_in_json(request.route)
