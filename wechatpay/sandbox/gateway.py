"""WeChat Pay's side of a request, free of sockets: check it, carry it out, sign the answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from wechatpay.sandbox.apiv2.desk import ApiV2
from wechatpay.sandbox.apiv3.desk import ApiV3
from wechatpay.sandbox.delivery import Delivery
from wechatpay.sandbox.injections import Injections
from wechatpay.sandbox.keys.signers import Signers
from wechatpay.sandbox.ledger import Ledger
from wechatpay.sandbox.openplatform import OpenPlatform

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.answer import Received
    from wechatpay.sandbox.desk import Desk
    from wechatpay.sandbox.keys.identity import Identity
    from wechatpay.sandbox.keys.signers import Mode

__all__ = ["Gateway"]

_log = logging.getLogger("wechatpay.sandbox")


class Gateway:
    """Answers requests as WeChat Pay does; one thread at a time.

    Attributes:
        injections: The faults that wait for their request; any thread may add one.
        signers: WeChat Pay's keys; any thread may rotate them.
        ledger: The merchant's orders; any thread may pay them.
    """

    def __init__(self, identity: Identity, clock: Callable[[], float], mode: Mode = "both") -> None:
        self.injections = Injections()
        self.signers = Signers(identity, mode, clock)
        self.ledger = Ledger(clock)
        # The first that takes a request answers it; the last takes them all.
        self._desks: tuple[Desk, ...] = (
            OpenPlatform(identity, clock, self.ledger),
            ApiV3(identity, clock, self.signers),
            ApiV2(identity, clock, self.ledger),
        )

    def respond(self, received: Received) -> Delivery:
        """Answer one request."""
        desk = next(desk for desk in self._desks if desk.takes(received))
        sign = desk.sign(received)
        if refusal := desk.refusal(received):
            delivery = Delivery(sign(refusal))
        elif fault := self.injections.take(received, desk.protocol):
            delivery = fault.deliver(lambda: desk.carry_out(received), sign)
        else:
            delivery = Delivery(sign(desk.carry_out(received)))
        _log.info("%s %s → %s", received.method, received.path, _outcome(desk, delivery))
        return delivery


def _outcome(desk: Desk, delivery: Delivery) -> str:
    """Tell what a request came to, in few words and without its contents."""
    if delivery.answer is None:
        return "connection reset"
    return f"{delivery.answer.status} {desk.code(delivery.answer)}".rstrip()
