"""The operations that offer bills, as data: what each takes, and how its file is checked.

https://pay.weixin.qq.com/doc/v3/merchant/4012791866
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from wechatpay.bills.checked import Digest
from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date as Date  # noqa: N812  `date` is a parameter

    from wechatpay.messages import Headers

__all__ = ["OPERATIONS", "FetchOptions", "Operation"]


class FetchOptions(TypedDict, total=False):
    """What a bill may be fetched with, beside its kind, its day and its path.

    Attributes:
        account: Whose fund bill: ``basic``, ``operation``, ``fees``, ``deposit`` or ``all``.
        bill_type: Which trade bill: ``ALL``, ``SUCCESS``, ``REFUND``, ``RECHARGE_REFUND`` …
        algorithm: How an encrypted bill is encrypted: ``AEAD_AES_256_GCM`` by default, or ``SM4_GCM``.
        mchid: The merchant, for kinds whose request names it: statements, ``v2-trade``, ``v2-fund``.
        sp_mchid: The institution, for statements, in place of ``mchid``.
        service_id: The service of pay score, for ``payscore``.
        appid: The app, for ``v2-trade`` and ``v2-fund``.
        sub_mchid: A partner's sub-merchant.
        base_uri: The host, for overseas merchants.
        packed: Whether to ask for gzip; the file is unpacked either way. ``True`` by default.
        attempts: How often to start over after a broken connection or an expired URL, 3 in all by default.
        pause: Seconds to wait before the second attempt, and twice as many before each further one.
        progress: Called with the bytes received, and those in all or ``None``, from the thread that receives.
        clock: Returns Unix seconds.
    """

    account: str
    algorithm: str
    bill_type: str
    mchid: str
    sp_mchid: str
    service_id: str
    appid: str
    sub_mchid: str
    base_uri: str
    packed: bool
    attempts: int
    pause: float
    progress: Callable[[int, int | None], object] | None
    clock: Callable[[], float]


#: The options that every kind takes.
_COMMON = frozenset({"attempts", "base_uri", "clock", "packed", "pause", "progress"})


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that offers a bill.

    Attributes:
        kind: What callers ask for.
        title: What it is, in a few words.
        template: Its path.
        takes: Options and the parameter that each becomes; those that are required end with ``*``, and of
            those that end with ``?`` one is required.
        fixed: Parameters that are always sent.
        date: The parameter and the format of the day.
        is_direct: Whether the response is the file itself.
        is_encrypted: Whether the response is a list of encrypted files.
        has_digest: Whether WeChat Pay documents a digest.
        digest_header: The header of a direct download that holds the SHA-1; ``""`` for none.
        tar_type: Whether gzip can be asked for.
    """

    kind: str
    title: str
    template: str
    takes: Mapping[str, str]
    fixed: Mapping[str, str] = field(default_factory=dict)
    date: tuple[str, str] = ("bill_date", "%Y-%m-%d")
    is_direct: bool = False
    is_encrypted: bool = False
    has_digest: bool = True
    digest_header: str = ""
    tar_type: bool = True

    @property
    def is_v2(self) -> bool:
        """Whether it is one of APIv2."""
        return self.template.startswith("v2/")

    @property
    def verb(self) -> str:
        """The verb."""
        return "post" if self.is_v2 else "get"

    def ask(self, day: Date, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of the call.

        Raises:
            InvalidRequestError: An option is missing, or this kind of bill does not take it.
        """
        names = {name.rstrip("*?"): name for name in self.takes}
        for name in options:
            if name not in names and name not in _COMMON:
                raise InvalidRequestError(
                    f"{name}: a bill of kind {self.kind!r} does not take it; it takes "
                    f"{', '.join(sorted({*names, *_COMMON}))}"
                )
        missing = [name for name, mark in names.items() if mark.endswith("*") and not options.get(name)]
        choices = [name for name, mark in names.items() if mark.endswith("?")]
        if choices and not any(map(options.get, choices)):
            missing.append(" or ".join(choices))
        if missing:
            raise InvalidRequestError(f"{', '.join(missing)}: a bill of kind {self.kind!r} requires it")
        parameters = dict(self.fixed)
        parameters[self.date[0]] = day.strftime(self.date[1])
        for name, parameter in self.takes.items():
            if (value := options.get(name.rstrip("*?"))) is not None:
                parameters[parameter] = self._account(value) if parameter == "account_type" else value
        if self.tar_type and options.get("packed", True):
            parameters["tar_type"] = "GZIP"
        asked: dict[str, Any] = {"xml" if self.is_v2 else "query": parameters}
        if "base_uri" in options:
            asked["base_uri"] = options["base_uri"]
        return {**asked, "security": True} if self.kind == "v2-fund" else asked

    def _account(self, name: Any) -> str:
        return str(name).capitalize() if self.is_v2 else str(name).upper()

    def digest(self, headers: Headers) -> Digest | None:
        """Find the digest in the headers of a direct download."""
        claimed = headers.get(self.digest_header, "") if self.digest_header else ""
        if not claimed and not self.has_digest:
            return None
        return Digest.parse("SHA1", claimed.removeprefix("SHA="))

    def file_name(self, day: Date, options: Mapping[str, Any]) -> str:
        """Name a file after the kind, what it was asked with, and the day."""
        asked = [
            str(options[name]).lower()
            for name in ("account", "bill_type", "service_id", "sub_mchid")
            if options.get(name)
        ]
        return f"{'-'.join([self.kind, *asked, day.isoformat()])}.csv"


_SUB = {"sub_mchid": "sub_mchid"}
_CIPHER = {"algorithm": "algorithm"}
_AES = "AEAD_AES_256_GCM"
_STATEMENT: dict[str, Any] = {
    "takes": {"mchid?": "mchid", "sp_mchid?": "sp_mchid", **_SUB},
    "date": ("date", "%Y%m%d"),
    "is_direct": True,
    "digest_header": "Wechatpay-Statement-Sha1",
    "has_digest": False,
    "tar_type": False,
}
_V2 = {"appid*": "appid", "mchid*": "mch_id"}

OPERATIONS: Mapping[str, Operation] = {
    operation.kind: operation
    for operation in (
        Operation(
            "trade",
            "Trade bill: payments and refunds.",
            "v3/bill/tradebill",
            {"bill_type": "bill_type", **_SUB},
        ),
        Operation(
            "fund",
            "Fund bill: bookings on an account.",
            "v3/bill/fundflowbill",
            {"account": "account_type", **_SUB},
        ),
        Operation(
            "sub-merchant-fund",
            "Fund bill of a sub-merchant.",
            "v3/bill/sub-merchant-fundflowbill",
            {"account": "account_type", "sub_mchid*": "sub_mchid", **_CIPHER},
            fixed={"algorithm": _AES, "account_type": "BASIC"},
            is_encrypted=True,
        ),
        Operation(
            "ecommerce-fund",
            "Fund bill of a platform's sub-merchants.",
            "v3/ecommerce/bill/fundflowbill",
            {"account": "account_type", **_CIPHER},
            fixed={"algorithm": _AES, "account_type": "ALL"},
            is_encrypted=True,
        ),
        Operation("sharing", "Profit-sharing bill.", "v3/profitsharing/bills", _SUB),
        Operation(
            "payscore",
            "Bill of pay score.",
            "v3/payscore/merchant-bill",
            {"service_id*": "service_id", "algorithm": "encryption_algorithm"},
            fixed={"encryption_algorithm": _AES},
            is_encrypted=True,
        ),
        Operation(
            "failed-withdrawals",
            "Withdrawals that failed.",
            "v3/merchant/fund/withdraw/bill-type/NO_SUCC",
            {},
        ),
        Operation(
            "funds-to-oversea",
            "Foreign exchange bill.",
            "v3/funds-to-oversea/bill-download-url",
            _SUB,
            tar_type=False,
        ),
        Operation("statement", "Overseas statement.", "v3/global/statements", **_STATEMENT),
        Operation("hk-statement", "Statement of Hong Kong wallets.", "hk/v3/statements", **_STATEMENT),
        Operation(
            "overseas-sharing",
            "Overseas profit-sharing bill.",
            "v3/global/profit-sharing/bill-download-url",
            _SUB,
            has_digest=False,
            tar_type=False,
        ),
        Operation(
            "overseas-sharing-refunds",
            "Returns of overseas shares.",
            "v3/global/profit-sharing/refunds/bill-download-url",
            _SUB,
            has_digest=False,
            tar_type=False,
        ),
        Operation(
            "v2-trade",
            "Trade bill of APIv2.",
            "v2/pay/downloadbill",
            {**_V2, "bill_type": "bill_type", "sub_mchid": "sub_mch_id"},
            fixed={"bill_type": "ALL"},
            date=("bill_date", "%Y%m%d"),
            is_direct=True,
            has_digest=False,
        ),
        Operation(
            "v2-fund",
            "Fund bill of APIv2.",
            "v2/pay/downloadfundflow",
            {**_V2, "account": "account_type"},
            fixed={"account_type": "Basic", "sign_type": "HMAC-SHA256"},
            date=("bill_date", "%Y%m%d"),
            is_direct=True,
            digest_header="Digest",
        ),
    )
}
