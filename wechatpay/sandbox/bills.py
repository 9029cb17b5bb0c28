"""APIv3's calls for bills: of every kind, plain, packed and encrypted; and the faults that bills have.

For :meth:`Sandbox.inject`, beside those of :mod:`wechatpay.sandbox.faults`::

    sandbox.inject(bills.AlteredBill(), path="v3/billdownload/file")
    sandbox.inject(bills.WrongDigest(), path="v3/bill/tradebill")
"""

from __future__ import annotations

import gzip
import hashlib
import json
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1

from wechatpay.crypto import aes_gcm, sm4_gcm
from wechatpay.errors import ConfigurationError
from wechatpay.messages import Headers
from wechatpay.sandbox import bill_texts, error_responses
from wechatpay.sandbox.bill_texts import trade_bill
from wechatpay.sandbox.clock import CHINA
from wechatpay.sandbox.faults.fault import Fault
from wechatpay.sandbox.fund_texts import fund_bill, overseas_sharing_bill, sharing_bill
from wechatpay.sandbox.messages import Delivery, HttpResponse
from wechatpay.sandbox.parameters import Violation
from wechatpay.sandbox.store import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from wechatpay.sandbox.apiv3 import Call, Handler
    from wechatpay.sandbox.fund_texts import FundEntry, Share
    from wechatpay.sandbox.ledger import Ledger
    from wechatpay.sandbox.orders import Order
    from wechatpay.sandbox.rules import Rules
    from wechatpay.sandbox.signing import Signer

__all__ = ["AlteredBill", "Bills", "CutBill", "ExpiredUrl", "ForeignUrl", "WrongDigest"]

#: Seconds that a ``download_url`` is valid.
_DOWNLOAD_LIFETIME = 30

#: Seconds from the beginning of a day until its bills exist: WeChat Pay makes them from 9:00 of the next day,
#: and says to ask after 10:00.
_READY_AFTER = 34 * 3600

#: Days for which there are bills.
_DAYS_KEPT = 92

_PATH = "/v3/billdownload/file"


class Bills:
    """Handles APIv3's bills: those of a day exist from 10:00 of the next one, in China.

    Attributes:
        handlers: What handles each operation, by method and template.
    """

    def __init__(  # noqa: PLR0913, PLR0917  what the bills are of
        self,
        ledger: Ledger,
        clock: Callable[[], float],
        rules: Rules,
        others: Callable[[], Iterable[FundEntry]] = tuple,
        shares: Callable[[], Iterable[Share]] = tuple,
        public_key: RSAPublicKey | None = None,
    ) -> None:
        """Prepare.

        Args:
            ledger: The merchant's orders.
            clock: Returns Unix seconds.
            rules: The rules of the sandbox.
            others: Returns the bookings that belong to no order.
            shares: Returns the successful shares.
            public_key: The merchant's, to which bills of sub-merchants are encrypted.
        """
        self._ledger = ledger
        self._clock = clock
        self._rules = rules
        self._others = others
        self._shares = shares
        self._public_key = public_key
        # Generated orders, as count and seed, and given files; both by the day as ISO text.
        self._filled: Table[str, tuple[int, str]] = Table()
        self._given: Table[tuple[str, str], bytes] = Table()
        # Made from these, and what is offered for some seconds: no state.
        self._generated: dict[tuple[str, int, str], list[Order]] = {}
        self._files: dict[str, tuple[float, bytes]] = {}
        self.handlers: dict[tuple[str, str], Handler] = {
            ("GET", "v3/bill/tradebill"): self._trade_bill,
            ("GET", "v3/bill/fundflowbill"): self._fund_bill,
            ("GET", "v3/bill/sub-merchant-fundflowbill"): self._encrypted_fund_bill,
            ("GET", "v3/ecommerce/bill/fundflowbill"): self._encrypted_fund_bill,
            ("GET", "v3/payscore/merchant-bill"): self._given_encrypted_bill,
            ("GET", "v3/merchant/fund/withdraw/bill-type/{bill_type}"): self._given_bill,
            ("GET", "v3/funds-to-oversea/bill-download-url"): self._given_bill,
            ("GET", "v3/profitsharing/bills"): self._sharing_bill,
            ("GET", "v3/global/profit-sharing/bill-download-url"): self._overseas_sharing_bill,
            ("GET", "v3/global/profit-sharing/refunds/bill-download-url"): self._overseas_sharing_bill,
            ("GET", "v3/global/statements"): self._statement,
            ("GET", "v3/statements"): self._statement,
            ("GET", "v3/billdownload/file"): self._download,
        }

    def are_ready(self, day: date) -> bool:
        """Return whether the bills of a day exist, unless nothing happened on it."""
        ready = datetime(day.year, day.month, day.day, tzinfo=CHINA).timestamp() + _READY_AFTER
        return self._rules.early_bills or self._clock() >= ready

    def fill(self, day: date, count: int, seed: str = "") -> None:
        """Add paid orders, some of them refunded, to the trade, fund and overseas bills of a day.

        The ledger does not have them: they cannot be queried or refunded.

        Args:
            day: The day, in China.
            count: How many; a million take about a minute, and 1 GB.
            seed: The same seed makes the same orders.

        Raises:
            ConfigurationError: ``day`` is not a date, or ``count`` is not a whole number, or negative.
        """
        key = _format_day(day)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise ConfigurationError(f"count: give a whole number, 0 or more, not {count!r:.40}")
        self._filled[key] = (count, seed)
        self._generate()

    def put(self, template: str, day: date, text: bytes) -> None:
        """Give the bill of a day: this text in place of what the ledger holds.

        Kinds whose columns WeChat Pay does not document have no other bills in the sandbox: those of
        ``v3/payscore/merchant-bill``, ``v3/merchant/fund/withdraw/bill-type/{bill_type}`` and
        ``v3/funds-to-oversea/bill-download-url``.

        Args:
            template: The operation of APIv3 that offers it, such as ``v3/bill/tradebill``.
            day: The day, in China.
            text: The file, not packed and not encrypted.

        Raises:
            ConfigurationError: ``day`` is not a date.
        """
        self._given[template, _format_day(day)] = text

    def _generate(self) -> Iterator[Order]:
        """Return the generated orders of all days; those of a loaded state are made at their first use."""
        keys = [(day, *filled) for day, filled in self._filled.items()]
        self._generated = {
            key: self._generated.get(key)
            or list(bill_texts.generate_orders(key[1], date.fromisoformat(key[0]), key[2]))
            for key in keys
        }
        return chain.from_iterable(self._generated.values())

    def _orders(self, sub_mchid: str = "") -> list[Order]:
        return [
            o for o in (*self._ledger.orders.values(), *self._generate()) if sub_mchid in {"", o.sub_mchid}
        ]

    def _trade_bill(self, call: Call) -> HttpResponse:
        kind = call.query.get("bill_type", "ALL")
        orders = self._orders(call.query.get("sub_mchid", ""))
        return self._offer(call, lambda day: trade_bill(orders, call.mchid, day, kind))

    def _fund_bill(self, call: Call) -> HttpResponse:
        return self._offer(call, self._fund_writer(call))

    def _fund_writer(self, call: Call) -> Callable[[date], bytes | None]:
        account = call.query.get("account_type", "BASIC")
        wanted = call.query.get("sub_mchid", "")
        orders = self._orders(wanted)
        others = [entry for entry in self._others() if wanted in {"", entry.sub_mchid}]
        # A platform asks for all accounts of its sub-merchants at once.
        account = "BASIC" if account == "ALL" else account
        return lambda day: fund_bill(orders, call.mchid, day, account, others)

    def _given_bill(self, call: Call) -> HttpResponse:
        return self._offer(call, _write_nothing)

    def _encrypted_fund_bill(self, call: Call) -> HttpResponse:
        return self._offer_encrypted(call, self._fund_writer(call), call.query.get("algorithm", ""))

    def _given_encrypted_bill(self, call: Call) -> HttpResponse:
        return self._offer_encrypted(call, _write_nothing, call.query.get("encryption_algorithm", ""))

    def _offer_encrypted(
        self, call: Call, write: Callable[[date], bytes | None], algorithm: str
    ) -> HttpResponse:
        made = self._write(call, write)
        if isinstance(made, HttpResponse):
            return made
        key, nonce = (
            secrets.token_bytes(sm4_gcm.KEY_BYTES if "SM4" in algorithm else 32),
            secrets.token_hex(6),
        )
        file = gzip.compress(made) if call.query.get("tar_type") == "GZIP" else made
        encrypt = sm4_gcm.encrypt if "SM4" in algorithm else aes_gcm.encrypt
        encrypted = b64decode(encrypt(file, key, nonce))
        if self._public_key is None:
            return error_responses.error(403, "NO_AUTH", "商户无权限")
        padding = OAEP(MGF1(SHA1()), SHA1(), None)  # noqa: S303  WeChat Pay's choice
        sealed = b64encode(self._public_key.encrypt(key, padding)).decode()
        part = {
            "bill_sequence": 1,
            **self._name(call, made, encrypted),
            "encrypt_key": sealed,
            "nonce": nonce,
        }
        return HttpResponse.json({"download_bill_count": 1, "download_bill_list": [part]})

    def _sharing_bill(self, call: Call) -> HttpResponse:
        shares = self._chosen_shares(call)
        return self._offer(call, lambda day: sharing_bill(shares, call.mchid, day))

    def _overseas_sharing_bill(self, call: Call) -> HttpResponse:
        are_returns = "/refunds/" in call.operation.template
        shares = [share for share in self._chosen_shares(call) if share.is_return == are_returns]
        made = self._write(call, lambda day: overseas_sharing_bill(shares, call.mchid, day))
        if isinstance(made, HttpResponse):
            return made
        return HttpResponse.json({"download_url": self._name(call, made, made)["download_url"]})

    def _chosen_shares(self, call: Call) -> list[Share]:
        wanted = {"", *call.query.get("sub_mchid", "").split()}
        return [share for share in self._shares() if len(wanted) == 1 or share.sub_mchid in wanted]

    def _statement(self, call: Call) -> HttpResponse:
        orders = self._orders(call.query.get("sub_mchid", ""))
        made = self._write(call, lambda day: bill_texts.statement(orders, call.mchid, day), "date", "%Y%m%d")
        if isinstance(made, HttpResponse):
            return made
        headers = {"Content-Type": "text/plain; charset=utf-8", "Wechatpay-Statement-Sha1": _sha1(made)}
        return HttpResponse(200, made, Headers(headers), signed_text=f'{{"sha1":"{_sha1(made)}"}}'.encode())

    def _offer(self, call: Call, write: Callable[[date], bytes | None]) -> HttpResponse:
        made = self._write(call, write)
        if isinstance(made, HttpResponse):
            return made
        file = gzip.compress(made) if call.query.get("tar_type") == "GZIP" else made
        return HttpResponse.json(self._name(call, made, file))

    def _write(
        self,
        call: Call,
        write: Callable[[date], bytes | None],
        name: str = "bill_date",
        form: str = "%Y-%m-%d",
    ) -> bytes | HttpResponse:
        """Return the text of a bill, or the error response."""
        text = call.query.get(name, "")
        try:
            day = datetime.strptime(text, form).replace(tzinfo=CHINA).date()
        except ValueError:
            return error_responses.bad_parameter(Violation("query", name, text, "", "账单日期格式不正确"))
        today = datetime.fromtimestamp(self._clock(), CHINA).date()
        if (today - day).days > _DAYS_KEPT:
            return error_responses.invalid_request("请求的账单日期已过期")
        if not self.are_ready(day):
            return error_responses.error(400, "STATEMENT_CREATING", "账单生成中")
        made = self._given.get((call.operation.template, day.isoformat())) or write(day)
        return made or error_responses.error(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在")

    def _name(self, call: Call, text: bytes, file: bytes) -> dict[str, Any]:
        """Offer a file, and return the members that name it."""
        now = self._clock()
        self._files = {token: kept for token, kept in self._files.items() if kept[0] >= now}
        token = secrets.token_urlsafe(24)
        self._files[token] = (now + _DOWNLOAD_LIFETIME, file)
        scheme = "https" if call.request.channel.is_encrypted else "http"
        host = call.request.headers.get("Host", "api.mch.weixin.qq.com")
        return {
            "hash_type": "SHA1",
            "hash_value": _sha1(text),
            "download_url": f"{scheme}://{host}{_PATH}?token={token}",
        }

    def _download(self, call: Call) -> HttpResponse:
        expires, file = self._files.get(call.query.get("token", ""), (0.0, b""))
        if expires < self._clock():
            return error_responses.invalid_request("无效请求")
        headers = Headers({"Content-Type": "text/plain; charset=utf-8"})
        return HttpResponse(200, file, headers, is_signed=False)


def _format_day(day: Any) -> str:
    if isinstance(day, datetime) or not isinstance(day, date):
        raise ConfigurationError(f"day: give a date, not {type(day).__name__}")
    return day.isoformat()


def _write_nothing(_day: date) -> None:
    """Write a bill whose columns are not documented: there is none."""


def _sha1(text: bytes) -> str:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()


#: The operations that offer a file, with a digest and without one.
_OFFERS_WITH_DIGEST = frozenset(
    {
        "v3/bill/fundflowbill",
        "v3/bill/sub-merchant-fundflowbill",
        "v3/bill/tradebill",
        "v3/ecommerce/bill/fundflowbill",
        "v3/funds-to-oversea/bill-download-url",
        "v3/merchant/fund/withdraw/bill-type/{bill_type}",
        "v3/payscore/merchant-bill",
        "v3/profitsharing/bills",
    }
)
_OFFERS = _OFFERS_WITH_DIGEST | {
    "v3/global/profit-sharing/bill-download-url",
    "v3/global/profit-sharing/refunds/bill-download-url",
}


class _BillFault(Fault):
    """A fault of a bill: an error response, such as that to an expired URL, stays as it is."""

    __slots__ = ()

    protocols = frozenset({"v3"})

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Change a response that is not an error, and sign it all the same."""
        response = proceed()
        if response.status == 200:  # noqa: PLR2004  HTTP's success
            response = replace(response, body=self.alter(response.body))
        return Delivery(signer.sign(response))

    def alter(self, body: bytes) -> bytes:
        """Return the changed body."""
        raise NotImplementedError


class _FileFault(_BillFault):
    """A fault of a bill's file."""

    __slots__ = ()

    templates = frozenset({_PATH[1:]})


@dataclass(frozen=True, slots=True)
class AlteredBill(_FileFault):
    """A file with one amount altered, packed as before: :class:`~wechatpay.bills.DigestError`.

    A file without amounts, or an encrypted one, has another last byte.
    """

    def alter(self, body: bytes) -> bytes:
        """Alter the file."""
        is_packed = body.startswith(b"\x1f\x8b")
        text = gzip.decompress(body) if is_packed else body
        altered = text.replace(b".0", b".1", 1)
        if altered == text:
            altered = text[:-1] + bytes([text[-1] ^ 1])
        return gzip.compress(altered) if is_packed else altered


@dataclass(frozen=True, slots=True)
class CutBill(_FileFault):
    """A file that ends early, in a response that is whole: :class:`~wechatpay.bills.DigestError`.

    Attributes:
        size: How many of its bytes are missing.
    """

    size: int = 20

    def alter(self, body: bytes) -> bytes:
        """Cut the end off."""
        return body[: -self.size]


class _OfferFault(_BillFault):
    """A fault of the response that offers a bill."""

    __slots__ = ()

    templates = _OFFERS

    def alter(self, body: bytes) -> bytes:
        """Change the members that name a file."""
        members = json.loads(body)
        for part in members.get("download_bill_list", [members]):
            self.change(part)
        return HttpResponse.json(members).body

    def change(self, part: dict[str, Any]) -> None:
        """Change the members that name a file."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class WrongDigest(_OfferFault):
    """The digest of another file: :class:`~wechatpay.bills.DigestError`."""

    templates = _OFFERS_WITH_DIGEST

    def change(self, part: dict[str, Any]) -> None:
        """Replace the digest."""
        part["hash_value"] = _sha1(b"another file")


@dataclass(frozen=True, slots=True)
class ForeignUrl(_OfferFault):
    """A ``download_url`` of another host: :class:`~wechatpay.InvalidRequestError`, and nothing is sent there.

    Attributes:
        url: Where it leads to.
    """

    url: str = "https://bills.example.com/file?token=1"

    def change(self, part: dict[str, Any]) -> None:
        """Replace the URL."""
        part["download_url"] = self.url


@dataclass(frozen=True, slots=True)
class ExpiredUrl(_OfferFault):
    """A ``download_url`` that has expired, or was never valid: a client asks for another one."""

    def change(self, part: dict[str, Any]) -> None:
        """Replace the token."""
        part["download_url"] = part["download_url"].partition("?")[0] + "?token=expired"
