"""The sandbox as users have it: a context manager with settings for a Builder."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Self

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox import admin
from wechatpay.sandbox.clock import VirtualClock
from wechatpay.sandbox.exchanges import Exchange, Exchanges
from wechatpay.sandbox.faults.injections import Injections
from wechatpay.sandbox.keys import Identity
from wechatpay.sandbox.lifecycle import Lifecycle
from wechatpay.sandbox.merchant import Environment, Merchant
from wechatpay.sandbox.rules import Rules
from wechatpay.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from wechatpay.sandbox.faults import Fault
    from wechatpay.sandbox.keys import Mode
    from wechatpay.sandbox.messages import Delivery, HttpRequest
    from wechatpay.sandbox.server import Server

__all__ = ["Sandbox"]


class Sandbox(Merchant, Lifecycle):
    """WeChat Pay on loopback: verifies real requests as WeChat Pay does, without a merchant account.

    ::

        with Sandbox() as sandbox:
            instance = Builder(**sandbox.settings())
            instance.v3.palmservice.authorization.openid._openid_.get(
                openid="oUpF8uMuAJOM2pxb1Q", query={"organization_id": "1"}
            )

    Works with ``async with``, too. Each sandbox has its own keys, ports, threads and event loop; any number
    may run at once. :mod:`wechatpay.sandbox.test_users` lists the payers that it knows,
    :mod:`wechatpay.sandbox.faults` the faults; the ``wechatpay.sandbox`` logger has a line for each response.
    It keeps orders, which you `pay`, sends callbacks to your server, and changes its keys (`rotate`). The
    console is at `base_uri`, for a browser.

    Attributes:
        identity: The first merchant's keys, and those of the WeChat Pay that it talks to.
        merchants: All merchants by ``mchid``, the sandbox itself for the first one; each has orders and
            callbacks of its own.
        seed: Determines WeChat Pay's numbers, but for the date in them, and generated responses.
        rules: What is not certain about WeChat Pay, and limits; they can be changed at any time.
    """

    def __init__(  # noqa: PLR0913  each is a setting of its own
        self,
        *,
        identity: Identity | None = None,
        merchants: Sequence[Identity] = (),
        clock: Callable[[], float] | None = None,
        mode: Mode = "both",
        port: int = 0,
        tls_port: int = 0,
        host: str = "127.0.0.1",
        seed: str | int = "",
        refund_delay: float = 0.0,
        rules: Rules | None = None,
        db: Path | str | None = None,
    ) -> None:
        """Prepare a sandbox; ``with`` starts it.

        Args:
            identity: Keys from :meth:`Identity.generate`, to share them between sandboxes: making them
                takes 0.2 s. New ones by default.
            merchants: Keys of further merchants, made with the same authority:
                ``Identity.generate("1900000110", identity.authority)``.
            clock: Returns Unix seconds; if given, it is also among the settings. See `advance`.
            mode: How the merchant verifies: ``"public-key"``, as all do that joined since late 2024,
                ``"certificates"``, which it downloads, or ``"both"``, while it changes over.
            port: The port on 127.0.0.1; by default the system chooses one.
            tls_port: The port for HTTPS.
            host: The address to listen on. Clients still call ``127.0.0.1``: another address is for
                containers, whose ports are published there.
            seed: Determines WeChat Pay's numbers, but for the date in them, generated responses, and which
                requests meet a fault with a probability. Without one, the numbers of orders, payments,
                refunds, transfers, shares, contracts and service orders are new in each run.
            refund_delay: Seconds until the money of an APIv3 refund arrives, in the sandbox's clock.
            rules: Limits, such as the minute between two refunds of one order, and what WeChat Pay's
                documents contradict themselves on.
            db: SQLite file that keeps orders, refunds, transfers, callbacks that wait, and the clock; made if
                it is missing. By default they are in memory.

        Raises:
            ConfigurationError: ``mode`` is unknown, two merchants have one ``mchid`` or different
                authorities.
        """
        first = identity or Identity.generate()
        for other in merchants:
            if other.authority != first.authority:
                raise ConfigurationError(f"merchants: {other.mchid} has another authority; share one")
        Lifecycle.__init__(self, first.authority, (port, tls_port), host)
        wall = clock or time.time
        self.seed = seed = str(seed)
        self.rules = rules or Rules()
        self._now = VirtualClock(wall)
        self._exchanges = Exchanges()
        self._injections = Injections(seed)
        store = Store(db, self._exchanges.notify)
        environment = Environment(
            wall=wall,
            now=self._now,
            mode=mode,
            seed=seed,
            refund_delay=refund_delay,
            rules=self.rules,
            injections=self._injections,
            store=store,
            locate=lambda: self.address,
            common={"clock": clock} if clock else {},
            merchants={},
            ledgers={},
        )
        store.add("clock", self._now)
        Merchant.__init__(self, first, environment)
        self.merchants = environment.merchants
        self.merchants[first.mchid] = self
        for other in merchants:
            if other.mchid in self.merchants:
                raise ConfigurationError(f"merchants: {other.mchid} occurs twice")
            self.merchants[other.mchid] = Merchant(other, environment)

    @property
    def requests(self) -> list[HttpRequest]:
        """The last 1000 requests, oldest first, refused ones included."""
        return [exchange.request for exchange in self._exchanges.list()]

    @property
    def exchanges(self) -> list[Exchange]:
        """The last 1000 requests with their responses, oldest first."""
        return self._exchanges.list()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a function after each request and each change of the state, from any thread.

        Returns:
            A function that ends it.
        """
        return self._exchanges.listen(listener)

    def advance(self, seconds: float | timedelta) -> None:
        """Advance the sandbox's clock, and deliver the callbacks that become due, without sleeping.

        Prepay ids expire, orders are closed, refunds arrive, callbacks are repeated. Signatures follow the
        machine's clock.

        Raises:
            ConfigurationError: ``seconds`` is negative.
        """
        self._advance(seconds)
        for merchant in self.merchants.values():
            merchant.deliveries.finish_due()

    def advance_later(self, seconds: float | timedelta) -> None:
        """Advance the clock as `advance` does, and deliver due callbacks in the background.

        Raises:
            ConfigurationError: ``seconds`` is negative.
        """
        self._advance(seconds)
        self._wake()

    async def aadvance(self, seconds: float | timedelta) -> None:
        """Advance the clock as `advance` does, without blocking the event loop.

        Raises:
            ConfigurationError: ``seconds`` is negative.
        """
        await asyncio.to_thread(self.advance, seconds)

    def inject(
        self, fault: Fault | str, *, times: int | None = 1, path: str | None = None, probability: float = 1.0
    ) -> None:
        """Apply a fault to the next requests; see :mod:`wechatpay.sandbox.faults`.

        Faults wait in the order they were injected, and each request takes one. A request that fails
        verification takes none.

        Args:
            fault: The fault, or its text, such as ``"Reset; executed=true; times=2"``. What the text says of
                times, path and probability goes before the arguments.
            times: To how many requests it applies; ``None`` for all from now on.
            path: Only on this path, such as ``"v3/edu-papay/user/{openid}/contracts"``; ``None`` for any.
            probability: That a request meets it, above 0 and up to 1; the sandbox's seed decides which ones.

        Raises:
            ConfigurationError: ``times`` or ``probability`` is out of range, the path is not documented, or
                the fault is not one, or applies to callbacks or other paths only.
        """
        self._injections.add(fault, times, path, probability)
        self._exchanges.notify()

    @property
    def faults(self) -> list[dict[str, Any]]:
        """The faults that wait for a request: what they are, where, how often met and how often to meet."""
        return self._injections.list()

    def clear_faults(self) -> None:
        """Remove the faults that wait."""
        self._injections.clear()
        self._exchanges.notify()

    def save(self) -> dict[str, Any]:
        """Return the whole state, ready for :func:`json.dumps`, to `load` it later or elsewhere.

        Orders, refunds, transfers, the bills of filled days, callbacks that wait, and the clock are part of
        it; keys, faults and traffic are not.
        """
        return self._store.dump()

    def load(self, saved: Mapping[str, Any]) -> None:
        """Replace the whole state by one that `save` returned, of a sandbox with the same merchants.

        Raises:
            ConfigurationError: It is something else; nothing has changed.
        """
        self._store.load(saved)
        self._begin_series()
        self._wake()

    def reset(self) -> None:
        """Return to the beginning: no orders, bills, callbacks, faults and traffic, the machine's time."""
        self._store.clear()
        self._begin_series()
        for merchant in self.merchants.values():
            merchant.deliveries.reset()
        self._injections.clear()
        self._exchanges.clear()

    def _advance(self, seconds: float | timedelta) -> None:
        with self._store.transaction():
            self._now.advance(seconds)

    def _begin_series(self) -> None:
        for ledger in self._environment.ledgers.values():
            ledger.begin_series()

    def _wake(self) -> None:
        for merchant in self.merchants.values():
            merchant.deliveries.wake()

    def _launch(self) -> Server:
        self._store.open()
        return super()._launch()

    def _finish_start(self, server: Server) -> Self:
        started = super()._finish_start(server)
        for merchant in self.merchants.values():
            merchant.deliveries.start()
        return started

    def _detach(self) -> Server | None:
        for merchant in self.merchants.values():
            merchant.deliveries.stop()
        self._store.close()
        return super()._detach()

    def _respond(self, request: HttpRequest) -> Delivery:
        if admin.accepts(request):
            return admin.respond(self, request)
        begun = time.perf_counter()
        merchants = self.merchants.values()
        merchant = next((m for m in merchants if m.gateway.concerns(request)), self)
        with self._store.transaction():
            outcome = merchant.gateway.respond(request)
        self._exchanges.add(
            Exchange(
                at=time.time(),
                mchid=merchant.identity.mchid,
                protocol=outcome.protocol,
                request=request,
                response=outcome.delivery.response,
                code=outcome.code,
                is_verified=outcome.is_verified,
                fault=outcome.fault,
                seconds=time.perf_counter() - begun,
            )
        )
        merchant.deliveries.wake()
        return outcome.delivery
