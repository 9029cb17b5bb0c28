"""Contracts of payers and the deductions under them: one store for scheduled and education ones.

A contract is prepared by the merchant, signed and ended by the payer (`Contracts.sign`,
`Contracts.terminate`), and allows deductions. A deduction is accepted first and carried out afterwards; both
outcomes are announced.
https://pay.weixin.qq.com/doc/v3/merchant/4012089417
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wechatpay import catalogue
from wechatpay.errors import ConfigurationError
from wechatpay.sandbox.announcements import payment_task
from wechatpay.sandbox.callbacks import CompleteResource
from wechatpay.sandbox.clock import format_local, format_rfc3339
from wechatpay.sandbox.deliveries import Task
from wechatpay.sandbox.orders import Rejection
from wechatpay.sandbox.responses import shape
from wechatpay.sandbox.store import Table
from wechatpay.sandbox.test_users import PAYER, number, standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.ledger import Ledger
    from wechatpay.sandbox.orders import Order

__all__ = [
    "CONTRACT_LIFETIME",
    "TERMINATION_MODES",
    "Contract",
    "Contracts",
    "describe_contract",
]

#: Seconds after which a contract ends.
CONTRACT_LIFETIME = 10 * 365 * 86400

#: APIv2's numbers of those who end a contract.
TERMINATION_MODES = {
    "SYSTEM_TERMINATE": 1,
    "USER_TERMINATE": 2,
    "MCH_API_TERMINATE": 3,
    "WEPAY_WEB_TERMINATE": 4,
    "CUSTOMER_SERVICE_TERMINATE": 7,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A contract.

    Attributes:
        code: The merchant's ``out_contract_code``; of education contracts the ``presign_token``.
        kind: ``papay``, ``insurance`` or ``edu-papay``.
        plan_id: The template.
        appid: The app.
        contract_id: WeChat Pay's number; `Contracts.prepare` makes it.
        openid: The payer; ``""`` until somebody signs.
        sub_mchid: The sub-merchant of a partner's contract.
        sub_appid: The sub-merchant's app.
        display_account: The account that the payer sees.
        user_code: The merchant's number of the payer.
        notify_url: Receives the callbacks.
        state: ``PREPARED``, ``SIGNED`` or ``TERMINATED``.
        signed: Unix seconds of the signing.
        ended: Unix seconds of the end.
        mode: Who ended it, such as ``USER_TERMINATE``.
        remark: Why it ended.
        is_announced: Whether the payer was notified of the next deduction.
        schedule_state: ``NO_SCHEDULED``, ``SCHEDULED``, ``PAID`` or ``EXPIRED``.
        scheduled: Fen that may be deducted.
        scheduled_from: Unix seconds at which the period for deducting begins.
        deducted: Unix seconds of the deduction.
        estimated_date: The date of the first deduction, as the merchant estimates.
        estimated: Fen, as the merchant estimates.
        protocol: ``v2`` or ``v3``, which is that of its callbacks.
        request_serial: The merchant's number of the signing, in APIv2.
    """

    code: str
    kind: str
    plan_id: str
    appid: str
    contract_id: str = ""
    openid: str = ""
    sub_mchid: str = ""
    sub_appid: str = ""
    display_account: str = ""
    user_code: str = ""
    notify_url: str = ""
    state: str = "PREPARED"
    signed: float = 0.0
    ended: float = 0.0
    mode: str = ""
    remark: str = ""
    is_announced: bool = False
    schedule_state: str = "NO_SCHEDULED"
    scheduled: int = 0
    scheduled_from: float = 0.0
    deducted: float = 0.0
    estimated_date: str = ""
    estimated: int = 0
    protocol: str = "v3"
    request_serial: str = ""

    @property
    def session(self) -> str:
        """The session in which the payer signs: ``pre_entrustweb_id``."""
        return number(f"presign {self.contract_id}", 20)


class Contracts:
    """The contracts of one merchant, and its deductions; thread-safe."""

    def __init__(
        self, ledger: Ledger, clock: Callable[[], float], send: Callable[[Task], bool], mchid: str
    ) -> None:
        """Start without contracts.

        Args:
            ledger: The merchant's orders.
            clock: Returns Unix seconds.
            send: Delivers a callback.
            mchid: The merchant.
        """
        self._ledger = ledger
        self._clock = clock
        self._send = send
        self._mchid = mchid
        self._lock = threading.RLock()
        self._contracts: Table[str, Contract] = Table()
        #: The contracts of accepted deductions, and of orders whose payer signs by paying, by order.
        self._accepted: Table[str, str] = Table()
        self._ordered: Table[str, str] = Table()

    def find(self, *, code: str = "", contract_id: str = "", plan_id: str = "") -> Contract | None:
        """Return a contract that was signed, by one of its numbers; ``None`` if unknown."""
        with self._lock:
            if code:
                found = self._contracts.get(code)
            else:
                found = next((c for c in self._contracts.values() if c.contract_id == contract_id), None)
        is_meant = found and plan_id in {"", found.plan_id} and found.state != "PREPARED"
        return found if is_meant else None

    def of_payer(self, openid: str, kind: str) -> list[Contract]:
        """Return the contracts that a payer signed, newest first."""
        with self._lock:
            signed = [
                contract
                for contract in self._contracts.values()
                if (contract.openid, contract.kind) == (openid, kind) and contract.state != "PREPARED"
            ]
        return signed[::-1]

    def prepare(self, contract: Contract, *, out_trade_no: str = "") -> Contract | None:
        """Prepare a contract for signing, and return it; ``None`` if one with that number was signed already.

        Args:
            contract: The contract.
            out_trade_no: The order whose payer signs it by paying.
        """
        with self._lock:
            if self.find(code=contract.code):
                return None
            contract_id = f"20{self._ledger.make_number(f'contract {contract.code}', 16)}"
            prepared = self.change(contract, contract_id=contract_id)
            if out_trade_no:
                self._ordered[out_trade_no] = contract.code
            return prepared

    def change(self, contract: Contract, **changes: Any) -> Contract:
        """Replace attributes of a contract."""
        with self._lock:
            changed = replace(contract, **changes)
            self._contracts[contract.code] = changed
            return changed

    def sign(self, code: str, *, openid: str = "") -> Contract:
        """Sign a contract in the payer's place.

        Args:
            code: The merchant's ``out_contract_code``, or the ``presign_token`` of an education contract.
            openid: The payer; by default the one that the contract names, else ``oUpF8uMuAJOM2pxb1Q``.

        Raises:
            ConfigurationError: The contract is unknown or signed already, or the openid is unknown, or the
                payer has a contract of APIv2 for the same plan.
        """
        payer = openid or PAYER
        with self._lock:
            contract = self._contracts.get(code)
            if contract is None or contract.state != "PREPARED":
                state = "unknown" if contract is None else contract.state
                raise ConfigurationError(f"code: {code!r:.80} is {state}; prepare a contract first")
            if standing(contract.openid or payer) is None:
                raise ConfigurationError(f"openid: {payer!r:.80} is unknown")
            if contract.protocol == "v2" and self._has_live(contract, contract.openid or payer):
                raise ConfigurationError(f"openid: {payer!r:.80} has a contract for plan {contract.plan_id}")
            signed = self.change(
                contract, openid=contract.openid or payer, state="SIGNED", signed=self._clock()
            )
        self._announce(signed, "ENTRUST.SIGN")
        return signed

    def _has_live(self, contract: Contract, openid: str) -> bool:
        wanted = (openid, contract.plan_id, contract.sub_mchid, "v2", "SIGNED")
        return any(
            wanted == (other.openid, other.plan_id, other.sub_mchid, other.protocol, other.state)
            for other in self._contracts.values()
        )

    def terminate(self, code: str, mode: str = "USER_TERMINATE", remark: str = "") -> Contract:
        """End a contract, by default in the payer's place.

        Args:
            code: The number that it was signed with.
            mode: ``USER_TERMINATE``, ``MCH_API_TERMINATE`` or another documented one.
            remark: Why.

        Raises:
            ConfigurationError: The contract is not signed, or the mode is unknown.
        """
        if mode not in TERMINATION_MODES:
            raise ConfigurationError(
                f"mode: {mode!r:.40} is unknown; give one of {', '.join(TERMINATION_MODES)}"
            )
        with self._lock:
            contract = self._contracts.get(code)
            if contract is None or contract.state != "SIGNED":
                state = "unknown" if contract is None else contract.state
                raise ConfigurationError(f"code: {code!r:.80} is {state}, not SIGNED")
            ended = self.change(contract, state="TERMINATED", ended=self._clock(), mode=mode, remark=remark)
        self._announce(ended, "ENTRUST.TERMINATE")
        return ended

    def deduct(self, contract: Contract, order: Order, *, is_repeatable: bool = True) -> Order | Rejection:
        """Accept a deduction: it is carried out afterwards.

        Args:
            contract: The contract.
            order: The deduction.
            is_repeatable: Whether the same request again succeeds, as in APIv3.
        """
        with self._lock:
            known = self._ledger.find(out_trade_no=order.out_trade_no)
            if is_repeatable and known is not None and known.terms == order.terms:
                return known
            placed = self._ledger.place(replace(order, status="ACCEPT", openid=contract.openid))
            if not isinstance(placed, Rejection):
                self._accepted.setdefault(placed.out_trade_no, contract.code)
            return placed

    def has_deducted(self, out_trade_no: str) -> bool:
        """Return whether a deduction with this number was accepted."""
        order = self._ledger.find(out_trade_no=out_trade_no)
        return order is not None and order.trade_type == "PAP"

    def settle(self) -> bool:
        """Carry out accepted deductions, sign what was paid for; return whether others wait: never."""
        with self._lock:
            for out_trade_no, code in list(self._accepted.items()):
                del self._accepted[out_trade_no]
                order = self._ledger.deduct(out_trade_no)
                if isinstance(order, Rejection):
                    continue
                contract = self._contracts[code]
                if order.payment:
                    changes = {"schedule_state": "PAID", "deducted": order.payment.at, "is_announced": False}
                    self.change(contract, **changes)
                self._send(payment_task(order, self._mchid, contract.contract_id))
            for out_trade_no, code in list(self._ordered.items()):
                paid = self._ledger.find(out_trade_no=out_trade_no)
                if paid and paid.payment:
                    del self._ordered[out_trade_no]
                    # The payer may have another contract for the plan, or have signed this one already.
                    with suppress(ConfigurationError):
                        self.sign(code, openid=paid.payment.openid)
        return False

    def _announce(self, contract: Contract, event: str) -> None:
        details: Any = {"id": f"EV-{contract.contract_id}-{contract.state}"}
        if contract.protocol == "v2":
            name = "v2/contract-signed" if event == "ENTRUST.SIGN" else "v2/contract-ended"
            resource = CompleteResource(_describe_v2(contract, self._mchid))
            self._send(Task(name, contract.notify_url, resource, details))
        elif contract.notify_url:
            event = f"INSURANCE_{event}" if contract.kind == "insurance" else event
            members = shape(catalogue.events()[event].resource, describe_contract(contract, self._mchid))
            # The callback spells the amounts of the schedule in another way than the query.
            members.pop("deduct_schedule", None)
            self._send(Task(event, contract.notify_url, CompleteResource(members), details))


def _describe_v2(contract: Contract, mchid: str) -> dict[str, Any]:
    """Return the fields of APIv2's callback of a contract that was signed or ended."""
    partner = {"sub_mch_id": contract.sub_mchid} if contract.sub_mchid else {}
    ended = {"contract_termination_mode": TERMINATION_MODES[contract.mode]} if contract.ended else {}
    return {
        "result_code": "SUCCESS",
        "mch_id": mchid,
        **partner,
        "contract_code": contract.code,
        "plan_id": contract.plan_id,
        "openid": contract.openid,
        "change_type": "DELETE" if contract.ended else "ADD",
        "operate_time": format_local(contract.ended or contract.signed),
        "contract_id": contract.contract_id,
        "contract_expired_time": format_local(contract.signed + CONTRACT_LIFETIME),
        "request_serial": contract.request_serial,
        **ended,
    }


def describe_contract(contract: Contract, mchid: str) -> dict[str, Any]:
    """Return all that is known of a contract, under its documented names."""
    is_partner = bool(contract.sub_mchid)
    parties = {
        "sp_mchid": mchid if is_partner else None,
        "sp_appid": contract.appid if is_partner else None,
        "sp_openid": contract.openid if is_partner else None,
        "mchid": None if is_partner else mchid,
        "appid": contract.appid,
        "openid": contract.openid,
        "sub_mchid": contract.sub_mchid or None,
        "sub_appid": contract.sub_appid or None,
    }
    ended = {
        "contract_termination_mode": contract.mode,
        "contract_terminated_time": format_rfc3339(contract.ended),
        "contract_termination_remark": contract.remark or None,
    }
    return {
        **parties,
        "contract_id": contract.contract_id,
        "plan_id": int(contract.plan_id) if contract.plan_id.isdecimal() else contract.plan_id,
        "out_contract_code": contract.code,
        "contract_display_account": contract.display_account,
        "insured_display_name": contract.display_account,
        "contract_state": contract.state,
        "contract_signed_time": format_rfc3339(contract.signed),
        "contract_expired_time": format_rfc3339(contract.signed + CONTRACT_LIFETIME),
        "contract_terminate_info": ended if contract.ended else None,
        "out_user_code": contract.user_code or None,
        "deduct_schedule": _describe_schedule(contract) if contract.estimated_date else None,
    }


def _describe_schedule(contract: Contract) -> dict[str, Any]:
    scheduled = {"total": contract.scheduled, "currency": "CNY"}
    paid = contract.schedule_state == "PAID"
    return {
        "estimated_deduct_date": contract.estimated_date,
        "estimated_deduct_amount": {"total": contract.estimated, "currency": "CNY"},
        "schedule_state": contract.schedule_state,
        "scheduled_amount": scheduled if contract.scheduled else None,
        "deduct_amount": scheduled if paid else None,
        "deduct_date": format_rfc3339(contract.deducted)[:10] if paid else None,
    }
