"""Making the demo's calls, keeping what happened on both sides, and comparing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wechatpay.cli.demo.examples import EXAMPLES, SPELLINGS, Example
from wechatpay.errors import SignatureError, WeChatPayError
from wechatpay.sandbox import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wechatpay.builder import Builder, Node
    from wechatpay.messages import Request, Response
    from wechatpay.middleware import Flow, Handler
    from wechatpay.sandbox import HttpRequest, Sandbox

__all__ = ["COLOURS", "Forgery", "Made", "Outcome", "run"]

COLOURS = ("sync", "async")

#: A payer who has cancelled everything; see :mod:`wechatpay.sandbox.people`.
_ENDED = "oUpF8uMuAJOM2pxb1Q_ended"


@dataclass(frozen=True, slots=True)
class Made:
    """One call, seen from both sides.

    Attributes:
        example: What was asked.
        spelling: How it was spelled.
        colour: ``sync`` or ``async``.
        sent: The signed request.
        received: What the sandbox received.
        answer: The verified answer, or the error in its place.
    """

    example: Example
    spelling: str
    colour: str
    sent: Request
    received: HttpRequest
    answer: Response | WeChatPayError


@dataclass(frozen=True, slots=True)
class Forgery:
    """One answer that was changed on its way.

    Attributes:
        signed: The body that was signed.
        arrived: The body that arrived.
        answer: The error it came to, or the answer that should not have been believed.
    """

    signed: bytes
    arrived: bytes
    answer: Response | WeChatPayError

    @property
    def was_refused(self) -> bool:
        """Whether the library saw it."""
        return isinstance(self.answer, SignatureError)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demo came to.

    Attributes:
        calls: All calls, in their order.
        forgery: The answer that was changed.
    """

    calls: tuple[Made, ...]
    forgery: Forgery

    def of(self, example: Example) -> list[Made]:
        """Return the calls that were made for one example."""
        return [call for call in self.calls if call.example is example]

    def differences(self) -> list[str]:
        """Name everything that is not as it should be."""
        found = [text for example in EXAMPLES for text in _differences(self.of(example))]
        if not self.forgery.was_refused:
            found.append("the tampered answer was not refused")
        return found


def _differences(calls: list[Made]) -> Iterator[str]:
    if len(calls) != len(SPELLINGS) * len(COLOURS):
        yield f"{len(calls)} calls were made instead of {len(SPELLINGS) * len(COLOURS)}"
    answers = [call.answer.content for call in calls if not isinstance(call.answer, WeChatPayError)]
    for call in calls:
        name = f"{call.example.attributes}, {call.spelling}, {call.colour}"
        if isinstance(call.answer, WeChatPayError):
            yield f"{name}: {type(call.answer).__name__}: {call.answer}"
        elif call.answer.content != answers[0]:
            yield f"{name}: another answer than to the other spellings"
        if call.sent.target != calls[0].sent.target:
            yield f"{name}: another target than the first spelling's"
        if call.received.target != call.sent.target:
            yield f"{name}: the sandbox received another target than was signed"


class Recorder:
    """Makes calls and keeps what was sent and received."""

    def __init__(self, sandbox: Sandbox, instance: Builder) -> None:
        self._sandbox = sandbox
        self._instance = instance
        self._sent: list[Request] = []
        self.calls: list[Made] = []
        instance.getDriver().select("v3").stack.after("signer", self._keep, "demo")

    def _keep(self, request: Request, proceed: Handler) -> Flow:
        self._sent.append(request)
        return (yield from proceed(request))

    def call_all(self) -> None:
        """Make all calls, blocking."""
        for example, spelling, node in self._spelled():
            try:
                answer: Response | WeChatPayError = node.get(example.arguments)
            except WeChatPayError as error:
                answer = error
            self._note(example, spelling, "sync", answer)

    async def acall_all(self) -> None:
        """Make all calls on the running event loop."""
        for example, spelling, node in self._spelled():
            try:
                answer: Response | WeChatPayError = await node.getAsync(example.arguments)
            except WeChatPayError as error:
                answer = error
            self._note(example, spelling, "async", answer)

    def _spelled(self) -> Iterator[tuple[Example, str, Node]]:
        for example in EXAMPLES:
            for spelling, node in example.nodes(self._instance).items():
                yield example, spelling, node

    def _note(self, example: Example, spelling: str, colour: str, answer: Response | WeChatPayError) -> None:
        self.calls.append(Made(example, spelling, colour, self._sent[-1], self._sandbox.requests[-1], answer))


def run(sandbox: Sandbox, instance: Builder) -> Outcome:
    """Make the demo's calls: 24, and one that is answered by a forger.

    Args:
        sandbox: A running sandbox.
        instance: A Builder with its settings.
    """
    recorder = Recorder(sandbox, instance)
    recorder.call_all()
    asyncio.run(recorder.acall_all())
    return Outcome(tuple(recorder.calls), _forge(sandbox, instance))


def _forge(sandbox: Sandbox, instance: Builder) -> Forgery:
    signed = arrived = b""

    def change(body: bytes) -> bytes:
        nonlocal signed, arrived
        signed, arrived = body, body.replace(b"_STATE_OFF", b"_STATE_ON")
        return arrived

    sandbox.inject(faults.TamperedBody(change))
    example = EXAMPLES[-1]
    try:
        answer: Response | WeChatPayError = instance.chain(example.chain).get(
            {**example.arguments, "openid": _ENDED}
        )
    except WeChatPayError as error:
        answer = error
    return Forgery(signed, arrived, answer)
