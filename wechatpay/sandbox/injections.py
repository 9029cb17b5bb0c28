"""Faults that wait for their request."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox.routes import Template

if TYPE_CHECKING:
    from wechatpay.sandbox.answer import Received
    from wechatpay.sandbox.delivery import Fault

__all__ = ["Injections"]


@dataclass(slots=True, eq=False)
class _Waiting:
    fault: Fault
    left: int | None
    template: Template | None

    def concerns(self, received: Received, protocol: str) -> bool:
        is_here = self.template is None or self.template.match(received.segments) is not None
        return is_here and protocol in self.fault.protocols


class Injections:
    """Faults in the order they were injected; any thread may inject, another takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []

    def add(self, fault: Fault, times: int | None, path: str | None) -> None:
        """Let ``fault`` befall the next requests.

        Args:
            fault: What goes wrong.
            times: How often; ``None`` for ever.
            path: Template of the paths concerned, as the chain spells them; ``None`` for all.

        Raises:
            ConfigurationError: ``times`` is no positive number, or the fault befalls callbacks alone.
        """
        if times is not None and times < 1:
            raise ConfigurationError("times: 1 or more, or None for ever")
        # The chain's `v2/` is not sent.
        if all(protocol.endswith(" callback") for protocol in fault.protocols):
            raise ConfigurationError(f"fault: {type(fault).__name__} befalls callbacks; give it to notify()")
        template = None if path is None else Template.read(path.removeprefix("/").removeprefix("v2/"))
        with self._lock:
            self._waiting.append(_Waiting(fault, times, template))

    def take(self, received: Received, protocol: str) -> Fault | None:
        """Return the fault for this request, and use it up once; ``None`` if there is none."""
        with self._lock:
            waiting = next(
                (waiting for waiting in self._waiting if waiting.concerns(received, protocol)), None
            )
            if waiting is None:
                return None
            if waiting.left is not None:
                waiting.left -= 1
                if not waiting.left:
                    self._waiting.remove(waiting)
            return waiting.fault

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._waiting.clear()
