"""Signatures as WeChat Pay makes them, on responses and on callbacks.

APIv3 signs in headers with RSA, APIv2 with a digest in the field ``sign``
(https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_3), and APIv2's refund callbacks are encrypted
(https://pay.weixin.qq.com/doc/v2/merchant/4011935223). The signed texts are laid out here a second time, on
purpose: a sandbox that used the client's own code would agree with its mistakes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from abc import ABC, abstractmethod
from base64 import b64encode
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7

from wechatpay.sandbox import error_responses, xml_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.sandbox.keys import Identity, PlatformSigner
    from wechatpay.sandbox.messages import HttpResponse

__all__ = [
    "SIGN_TYPES",
    "FieldSigner",
    "HeaderSigner",
    "RefundSigner",
    "Signer",
    "digest",
    "digest_text",
    "refund_header",
]


class Signer(ABC):
    """Signs the responses to one request as WeChat Pay does."""

    __slots__ = ()

    @abstractmethod
    def sign(self, response: HttpResponse, *, age: float = 0.0) -> HttpResponse:
        """Sign ``response`` as of ``age`` seconds ago, if responses of its kind are signed."""

    @abstractmethod
    def sign_wrongly(self, response: HttpResponse) -> HttpResponse:
        """Put the signature of another response on this one."""

    @abstractmethod
    def error(self, status: int, code: str, message: str) -> HttpResponse:
        """Make an unsigned error response."""

    def rotate(self) -> Signer:
        """Return a signer with a new key; only APIv3 has keys that rotate."""
        return self


@dataclass(frozen=True, slots=True)
class HeaderSigner(Signer):
    """Signs with one of WeChat Pay's keys, in headers.

    Attributes:
        key: The key.
        clock: Returns Unix seconds.
        make_key: Makes a new key; ``None`` where keys do not rotate.
    """

    key: PlatformSigner
    clock: Callable[[], float]
    make_key: Callable[[], PlatformSigner] | None = None

    def rotate(self) -> Signer:
        """Return a signer with a new key."""
        return replace(self, key=self.make_key()) if self.make_key else self

    def sign(self, response: HttpResponse, *, age: float = 0.0) -> HttpResponse:
        """Sign as of ``age`` seconds ago; ``Date`` shows the clock as it is."""
        date = formatdate(self.clock(), usegmt=True)
        response = replace(response, headers=response.headers.with_({"Date": date}))
        return self.key.sign(response, self.clock() - age) if response.is_signed else response

    def sign_wrongly(self, response: HttpResponse) -> HttpResponse:
        """Sign another body."""
        name = "Wechatpay-Signature"
        other = self.sign(replace(response, body=response.body + b" "))
        signed = self.sign(response)
        return replace(signed, headers=signed.headers.with_({name: other.headers[name]}))

    def error(self, status: int, code: str, message: str) -> HttpResponse:
        """Make an error response in JSON."""
        return error_responses.error(status, code, message)


SIGN_TYPES = ("MD5", "HMAC-SHA256")


def digest(fields: Mapping[str, str], secret: str, sign_type: str) -> str:
    """Compute ``sign``, in upper-case hexadecimal.

    Args:
        fields: What is signed; ``sign`` and empty ones are not.
        secret: The key of APIv2.
        sign_type: ``MD5`` or ``HMAC-SHA256``.
    """
    pairs = sorted(
        (name.encode(), value.encode()) for name, value in fields.items() if value and name != "sign"
    )
    text = b"".join(b"%b=%b&" % pair for pair in pairs) + b"key=" + secret.encode()
    return digest_text(text, secret, sign_type)


def digest_text(text: bytes, secret: str, sign_type: str) -> str:
    """Compute the digest of a text that is laid out."""
    if sign_type == "MD5":
        return hashlib.md5(text, usedforsecurity=False).hexdigest().upper()
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest().upper()


@dataclass(frozen=True, slots=True)
class FieldSigner(Signer):
    """Signs XML with a digest, in the field ``sign``; downloads and return_code FAIL stay unsigned.

    Attributes:
        secret: The key of APIv2.
        sign_type: ``MD5`` or ``HMAC-SHA256``, as the request was signed.
        sent: The fields of the request.
        has_sign: Whether the documents have a ``sign`` in the response.
    """

    secret: str = field(repr=False)
    sign_type: str = "MD5"
    sent: Mapping[str, str] = field(default_factory=dict, repr=False)
    has_sign: bool = True

    def sign(self, response: HttpResponse, *, age: float = 0.0) -> HttpResponse:  # noqa: ARG002  APIv2 signs no time
        """Add ``sign``."""
        return self._signed(response)

    def sign_wrongly(self, response: HttpResponse) -> HttpResponse:
        """Sign another ``nonce_str``."""
        return self._signed(response, nonce_str="other")

    def error(self, status: int, code: str, message: str) -> HttpResponse:  # noqa: ARG002  errors come with 200
        """Make an error response in XML."""
        return xml_messages.failure(self.sent, code, message)

    def _signed(self, response: HttpResponse, **instead: str) -> HttpResponse:
        try:
            fields = xml_messages.read(response.body)
        except ValueError:
            return response
        if fields.get("return_code", "SUCCESS") != "SUCCESS" or not self.has_sign:
            return response
        sign = xml_messages.element("sign", digest({**fields, **instead}, self.secret, self.sign_type))
        return replace(response, body=response.body.removesuffix(b"</xml>") + f"{sign}\n</xml>".encode())


def refund_header(identity: Identity) -> dict[str, str]:
    """Return the unencrypted fields of a refund callback."""
    return {
        "return_code": "SUCCESS",
        "appid": identity.app["appid"],
        "mch_id": identity.mchid,
        "nonce_str": secrets.token_hex(16),
    }


@dataclass(frozen=True, slots=True)
class RefundSigner(Signer):
    """Adds ``req_info``, encrypted with the merchant's APIv2 key.

    Attributes:
        hidden: The refund.
        secret: The key of APIv2.
    """

    hidden: Mapping[str, str | int]
    secret: str = field(repr=False)

    def sign(self, response: HttpResponse, *, age: float = 0.0) -> HttpResponse:  # noqa: ARG002  APIv2 signs no time
        """Add ``req_info``."""
        return self._with(response, self.secret)

    def sign_wrongly(self, response: HttpResponse) -> HttpResponse:
        """Encrypt with another key."""
        return self._with(response, self.secret[::-1] + "0")

    def error(self, status: int, code: str, message: str) -> HttpResponse:
        """Make an error response, which no callback is."""
        raise NotImplementedError  # pragma: no cover  callbacks carry no errors

    def _with(self, response: HttpResponse, secret: str) -> HttpResponse:
        element = xml_messages.element("req_info", _encrypt(self.hidden, secret))
        return replace(response, body=response.body.removesuffix(b"</xml>") + f"{element}\n</xml>".encode())


def _encrypt(fields: Mapping[str, str | int], secret: str) -> str:
    """Encrypt fields: AES-256-ECB under the hexadecimal MD5 of the key, in base64."""
    lines = "\n".join(xml_messages.element(name, value) for name, value in fields.items())
    padder = PKCS7(AES256.block_size).padder()
    padded = padder.update(f"<root>\n{lines}\n</root>".encode()) + padder.finalize()
    key = hashlib.md5(secret.encode(), usedforsecurity=False).hexdigest()
    encryptor = Cipher(AES256(key.encode()), ECB()).encryptor()  # noqa: S305  WeChat Pay's choice
    return b64encode(encryptor.update(padded) + encryptor.finalize()).decode()
