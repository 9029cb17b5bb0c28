"""APIv2 digests: the middlewares that sign requests and verify responses.

https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_3
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from wechatpay import formatter, transformer, uri
from wechatpay.apiv2 import responses, rules
from wechatpay.crypto import hashing
from wechatpay.errors import APIError, InvalidRequestError, SignatureError, VerificationError
from wechatpay.logs import log_step
from wechatpay.messages import SignedSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.messages import Request, Response
    from wechatpay.middleware import Flow, Handler
    from wechatpay.settings import Account

__all__ = ["Fields", "Signer", "Verifier", "parse_query", "render"]

#: Fields that may carry the merchant id.
_MERCHANT_FIELDS = ("mch_id", "mchid", "combine_mch_id")

#: Hexadecimal digits of an HMAC-SHA256; an MD5 has 32.
_HMAC_LENGTH = 64


class Signer:
    """Signs requests; a middleware."""

    def __init__(self, account: Account, nonce: Callable[[], str]) -> None:
        self._account = account
        self._nonce = nonce

    def __call__(self, request: Request, proceed: Handler) -> Flow:
        """Draw the nonce, sign the fields, and render them.

        Raises:
            InvalidRequestError: The merchant id is missing or another's, a value is not text, or
                ``sign_type`` is unknown.
        """
        # In its own function: error trackers show the local variables of the frames that an error passes.
        return (yield from proceed(self._sign(request)))

    def _sign(self, request: Request) -> Request:
        fields = _unsigned_fields(request)
        _check_merchant(request, fields, self._account.mchid)
        algorithm = _algorithm(fields)
        if "nonce_str" in fields and fields["nonce_str"] in (None, ""):
            fields["nonce_str"] = self._nonce()
        text = _text_to_sign(fields)
        sign = _sign(algorithm, text, self._account)
        log_step(request, "signed %s fields as merchant %s, %s", len(fields), self._account.mchid, algorithm)
        signed = render(request.with_(parameters=Fields(fields, sign=sign)))
        snapshot = SignedSnapshot(signed.method, signed.target, signed.content, text)
        return signed.with_(snapshot=snapshot)


class Fields(dict[str, Any]):
    """Fields whose ``repr`` hides their values: error trackers show local variables."""

    @classmethod
    def of(cls, given: Mapping[Any, Any]) -> Fields:
        """Copy ``given`` with plain ``str`` and ``int`` values: what is checked and signed is what is sent.

        Raises:
            InvalidRequestError: A value is a float, or a ``Decimal`` that is not finite.
        """
        return cls((_exact(name, "name"), _exact(value, name)) for name, value in given.items())

    def __repr__(self) -> str:
        return f"<fields {', '.join(map(str, self))}>"


def _sign(algorithm: str, text: str | bytes, account: Account) -> str:
    try:
        return hashing.sign(algorithm, text, account.secret)
    except BaseException as error:
        # Ctrl-C, a timer: error trackers show local variables, and the frames below hold the secret.
        error.__traceback__ = None
        raise


def _unsigned_fields(request: Request) -> dict[str, Any]:
    """Copy the fields as they will be sent, without ``sign``: a caller's own is never sent."""
    fields = request.parameters or {}
    if request.method == "GET":
        undrawn = {name: None for name, value in fields.items() if name == "nonce_str" and value is None}
        fields = {**parse_query(uri.query(fields)), **undrawn}
    fields = Fields.of(fields)
    fields.pop("sign", None)
    return fields


def _exact(value: Any, name: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        # The PHP SDK signs False as `name=` and sends an empty element: recorded in tests/vectors, and kept.
        return value
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float | Decimal):
        return formatter.format_number(value, name)
    return value


def _text_to_sign(fields: Mapping[str, Any]) -> bytes:
    try:
        return formatter.query_string_like(formatter.ksort(fields)).encode()
    except UnicodeEncodeError:
        raise InvalidRequestError("xml: holds a lone surrogate, which UTF-8 cannot encode") from None


def parse_query(query: str) -> dict[str, str]:
    """Parse the fields of a query, which are signed as those of an XML body are.

    Raises:
        InvalidRequestError: A name occurs twice, or a part is not UTF-8.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise InvalidRequestError("query: holds bytes that are not UTF-8, which APIv2 cannot sign") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidRequestError("query: a name occurs twice, which APIv2 cannot sign: give it once")
    return fields


def render(request: Request) -> Request:
    """Write the fields where they are sent: before a file, into the query of a GET, else into an XML body.

    Raises:
        InvalidRequestError: A value cannot be written; the message names its field.
    """
    fields = request.parameters or {}
    if request.file is not None:
        from wechatpay.media import Part  # noqa: PLC0415  few calls upload

        parts = [Part(name, formatter.text(value, name)) for name, value in fields.items()]
        return request.with_(content=request.file.body(*parts))
    if request.method == "GET":
        return request.with_(url=f"{request.url.partition('?')[0]}?{uri.query(fields)}")
    return request.with_(content=transformer.to_xml(fields).encode())


def _check_merchant(request: Request, fields: Mapping[str, Any], mchid: str) -> None:
    """Refuse to sign in another merchant's name."""
    named = {
        name: formatter.text(value, name)
        for name in _MERCHANT_FIELDS
        if (value := fields.get(name)) is not None
    }
    if not any(named.values()) and not rules.carries_no_merchant_id(request.route):
        raise InvalidRequestError(
            f"mch_id: missing: give {mchid} as one of {', '.join(_MERCHANT_FIELDS)}", request=request
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
    named = formatter.text(algorithm, "sign_type")
    raise InvalidRequestError(f"sign_type: {named!r} is unknown: give {' or '.join(hashing.ALGORITHMS)}")


class Verifier:
    """Verifies responses; a middleware."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def __call__(self, request: Request, proceed: Handler) -> Flow:
        """Verify the response's ``sign``; mark error responses as verified or not.

        Raises:
            VerificationError: The response is not provably WeChat Pay's.
        """
        try:
            response = yield from proceed(request)
        except APIError as error:
            error.verified = error.response is not None and self._is_verified(request, error.response)
            raise
        if reason := self._invalid_reason(request, response):
            raise SignatureError(
                f"{request.method} {request.path}: {reason}, so the outcome is unknown: "
                f"{rules.next_step(request.route)}",
                request=request,
                response=response,
            )
        return response

    def _invalid_reason(self, request: Request, response: Response) -> str | None:
        # The caller raises: error trackers show the local variables of the frames that an error passes.
        fields = responses.parse(request, response) or {}
        may_lack_sign = rules.is_unsigned(request.route) or rules.returns_json(request.route)
        if may_lack_sign and not fields.get("sign"):
            log_step(request, "accepted without sign: this endpoint's responses carry none")
            return None
        return self._invalid_sign(request, fields)

    def _invalid_sign(self, request: Request, fields: Mapping[str, Any]) -> str | None:
        """Return why the sender may not know the secret, or ``None``."""
        sign = fields.get("sign")
        if not isinstance(sign, str) or not sign:
            return "the response carries no sign"
        is_hmac = (request.parameters or {}).get("sign_type") == hashing.ALGO_HMAC_SHA256
        requested = hashing.ALGO_HMAC_SHA256 if is_hmac else hashing.ALGO_MD5
        algorithm = hashing.ALGO_HMAC_SHA256 if len(sign) == _HMAC_LENGTH else hashing.ALGO_MD5
        # A downgrade to MD5 is refused; a response with a stronger digest than the request's is accepted.
        if algorithm == hashing.ALGO_MD5 != requested:
            return f"the response is signed with {algorithm}, the request with {requested}"
        if not self._matches(fields, sign, algorithm):
            return "sign does not match the response"
        log_step(request, "verified, %s", algorithm)
        return None

    def _matches(self, fields: Mapping[str, Any], sign: str, algorithm: str) -> bool:
        try:
            text = formatter.query_string_like(formatter.ksort(fields))
        except InvalidRequestError:
            return False
        return hashing.equals(_sign(algorithm, text, self._account), sign)

    def _is_verified(self, request: Request, response: Response) -> bool:
        try:
            return self._invalid_sign(request, responses.parse(request, response) or {}) is None
        except VerificationError:
            return False
