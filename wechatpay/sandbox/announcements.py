"""The callbacks that follow from payments, deductions and refunds, in the protocol of the order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wechatpay.sandbox.callbacks import CompleteResource
from wechatpay.sandbox.clock import format_local
from wechatpay.sandbox.combined_orders import describe_combined
from wechatpay.sandbox.deliveries import Task
from wechatpay.sandbox.payments import describe
from wechatpay.sandbox.payments_v2 import describe_payment
from wechatpay.sandbox.refunds import describe_refund

if TYPE_CHECKING:
    from wechatpay.sandbox.callbacks import Details
    from wechatpay.sandbox.orders import Order, Refund

__all__ = ["combined_task", "payment_task", "refund_task"]


def payment_task(order: Order, mchid: str, contract_id: str = "") -> Task:
    """Return the callback of a payment, or of a deduction, which may have failed.

    Args:
        order: The order.
        mchid: The merchant, or the partner.
        contract_id: The contract of a deduction.
    """
    if order.protocol == "v3":
        event = "TRANSACTION.SUCCESS" if order.payment else "TRANSACTION.FAIL"
        return Task(event, order.notify_url, CompleteResource(describe(order, mchid)), _details(order))
    parties = {"appid": order.appid, "mch_id": mchid, "sub_mch_id": order.sub_mchid or None}
    known = {**parties, "out_trade_no": order.out_trade_no, "attach": order.attach or None}
    if not contract_id:
        return Task("v2/payment", order.notify_url, {**known, **describe_payment(order)}, {})
    outcome: dict[str, Any] = {"result_code": "SUCCESS", **describe_payment(order)}
    if order.payment is None:
        reason = {"err_code": "NOTENOUGH", "err_code_des": "余额不足"}
        outcome = {"result_code": "FAIL", **reason, "total_fee": order.total, "openid": order.openid}
    fields = {**known, **outcome, "trade_state": order.state, "contract_id": contract_id}
    resource = CompleteResource({name: value for name, value in fields.items() if value is not None})
    return Task("v2/payment", order.notify_url, resource, _details(order))


def combined_task(parts: tuple[Order, ...], mchid: str) -> Task:
    """Return the callback of a paid combined order: one for all its parts."""
    resource = CompleteResource(describe_combined(parts, mchid))
    return Task("TRANSACTION.SUCCESS", parts[0].notify_url, resource, _details(parts[0]))


def refund_task(order: Order, refund: Refund, mchid: str) -> Task:
    """Return the callback of a refund that was decided."""
    details: Details = {"id": f"EV-{refund.refund_id}-{refund.status}"}
    if refund.protocol == "v2":
        return Task("v2/refund", refund.notify_url, CompleteResource(_refund_v2(order, refund)), details)
    described = describe_refund(order, refund)
    parties = {"sp_mchid": mchid, "sub_mchid": order.sub_mchid} if order.sub_mchid else {"mchid": mchid}
    names = ("transaction_id", "out_trade_no", "refund_id", "out_refund_no")
    done = {"success_time": described["success_time"]} if "success_time" in described else {}
    amount = {name: described["amount"][name] for name in ("total", "refund", "payer_total", "payer_refund")}
    resource = CompleteResource(
        {
            **parties,
            **{name: described[name] for name in names},
            "refund_status": refund.status,
            **done,
            "user_received_account": described["user_received_account"],
            "amount": amount,
        }
    )
    return Task(f"REFUND.{refund.status}", refund.notify_url, resource, details)


def _refund_v2(order: Order, refund: Refund) -> dict[str, str | int]:
    """Return the fields of the callback of a refund, which are encrypted in it."""
    return {
        "transaction_id": order.payment.transaction_id if order.payment else "",
        "out_trade_no": order.out_trade_no,
        "refund_id": refund.refund_id,
        "out_refund_no": refund.out_refund_no,
        "total_fee": order.total,
        "settlement_total_fee": order.total,
        "refund_fee": refund.amount,
        "settlement_refund_fee": refund.amount,
        "cash_refund_fee": refund.amount,
        "refund_status": refund.status,
        "success_time": format_local(refund.done),
        "refund_recv_accout": "支付用户零钱",
        "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS",
        "refund_request_source": "API",
    }


def _details(order: Order) -> Details:
    """Return the members of a callback beside its resource: the same id in all attempts."""
    return {"id": f"EV-{order.payment.transaction_id if order.payment else order.out_trade_no}"}
