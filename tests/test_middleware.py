"""Middlewares: how they are named and ordered, what they may do, and what they are told when they err."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
import time

import merchants
import pytest
from cases import each

from wechatpay import (
    Blocking,
    ConfigurationError,
    Pause,
    Response,
    SignatureError,
    retry,
)


def through(request, proceed):
    """Pass on: the least a middleware can be."""
    return (yield from proceed(request))


class Traveller:
    """Middlewares of other shapes."""

    def __call__(self, request, proceed):
        """Pass on, as an object that is called."""
        return (yield from proceed(request))

    def through(self, request, proceed):
        """Pass on, as a method."""
        return (yield from proceed(request))


def noting(log, name):
    """Make a middleware that notes when it is entered and left."""

    def note(request, proceed):
        log.append(name)
        response = yield from proceed(request)
        log.append(f"/{name}")
        return response

    return note


@pytest.fixture
def stack(instance):
    """Give the APIv3 stack of the Builder."""
    return instance.getDriver().select().stack


def test_middlewares_run_outermost_first(gateway, instance, stack, client):
    """`push` is just outside the signer, `before` outside and `after` inside a neighbour."""
    log = []
    stack.push(noting(log, "a"), name="a")
    stack.push(noting(log, "b"), name="b")
    stack.before("a", noting(log, "c"), name="c")
    stack.after("signer", noting(log, "d"), name="d")
    stack.after("verifier", noting(log, "e"), name="e")

    client.call(instance.v3.pay, "get")

    assert ["c", "a", "b", "signer", "d", "verifier", "e"] == list(stack)
    assert "<Stack c → a → b → signer → d → verifier → e>" == repr(stack)
    assert ["c", "a", "b", "d", "e", "/e", "/d", "/b", "/a", "/c"] == log
    merchants.signed_text(gateway.seen[0])


def test_each_protocol_has_a_stack_of_its_own(build):
    """What is pushed for APIv3 leaves APIv2 alone; `select()` is APIv3."""
    driver = build(secret="0" * 32).getDriver()
    driver.select().stack.push(through)

    assert ["through", "signer", "verifier"] == list(driver.select("v3").stack)
    assert ["signer", "verifier"] == list(driver.select("v2").stack)


def test_pushed_finds_its_place_without_a_signer(stack):
    """When the signer was taken out, `push` is outside the verifier; without either, innermost."""
    stack.remove("signer")
    stack.push(through)
    stack.remove("verifier")
    stack.push(through, "inner")

    assert ["through", "inner"] == list(stack)
    assert "<Stack empty>" == (stack.remove("through"), stack.remove("inner"), repr(stack))[2]


@pytest.mark.parametrize("edit", ["before", "after", "replace", "remove"])
def test_unknown_name_is_refused_with_those_there_are(stack, edit):
    """A misspelt neighbour is an error, not a middleware in the wrong place."""
    arguments = ("signature", through)[: 1 if edit == "remove" else 2]

    with pytest.raises(ConfigurationError, match="no middleware called 'signature'; it has signer, verifier"):
        getattr(stack, edit)(*arguments)


@pytest.mark.parametrize("name", ["verifier", None])
def test_name_is_taken_once(stack, name):
    """Two of one name could not be told apart when one is to go."""
    stack.push(through)

    with pytest.raises(ConfigurationError, match="already: give another name="):
        stack.push(through, name=name)
    assert ["through", "signer", "verifier"] == list(stack)


def test_edit_applies_to_calls_that_begin_later(instance, stack, client):
    """A call in flight keeps the stack that it began with, however that is edited."""
    log = []

    def meddling(request, proceed):
        stack.remove("inner")
        stack.push(noting(log, "late"), name="late")
        stack.remove("meddling")
        return (yield from proceed(request))

    stack.push(meddling)
    stack.push(noting(log, "inner"), name="inner")
    client.call(instance.v3.pay, "get")
    first = [*log]
    client.call(instance.v3.pay, "get")

    assert ["inner", "/inner"] == first
    assert ["late", "/late"] == log[2:]


@pytest.mark.parametrize(
    "middleware",
    [
        through,
        Traveller(),
        Traveller().through,
        functools.partial(through),
        functools.partial(Traveller()),
        functools.partial(lambda _, r, p: (yield from p(r)), 1),
    ],
    ids=["function", "object", "method", "partial", "partial of an object", "partial of a lambda"],
)
def test_whatever_is_called_as_a_generator_will_do(instance, stack, client, middleware):
    """Functions, methods, callable objects and partials of them are middlewares."""
    stack.push(middleware)

    assert {} == client.call(instance.v3.pay, "get").json()


async def awaiting(request, proceed):
    """Be no generator."""


@each(
    "middleware",
    [lambda r, p: p(r), awaiting, Traveller, print, None, functools.partial(int, "SECRET"), retry],
    ids=["lambda", "coroutine", "class", "builtin", "None", "partial", "maker"],
)
@each("edit", ["push", "replace"])
def test_what_is_not_a_generator_function_is_refused(stack, edit, middleware):
    """The mistake is told where it is made, with the way out, and with nothing that was bound to it."""
    with pytest.raises(ConfigurationError, match="response = yield from proceed") as caught:
        stack.push(middleware) if edit == "push" else stack.replace("signer", middleware)

    assert "SECRET" not in str(caught.value)
    assert ["signer", "verifier"] == list(stack)


@pytest.mark.parametrize("middleware", [Traveller.through, lambda r: (yield r)], ids=["unbound", "one"])
def test_middleware_takes_a_request_and_the_way_on(stack, middleware):
    """A wrong signature is told when it is pushed, not when money moves."""
    with pytest.raises(ConfigurationError, match=r"of \(request, proceed\)"):
        stack.push(middleware)


def test_blocking_runs_with_the_callers_context(instance, stack, client):
    """A remote signer sees the caller's context variables, and blocks no event loop."""
    tenant, seen = contextvars.ContextVar("tenant"), []

    def look(*args):
        seen.extend((tenant.get(), *args, threading.current_thread()))
        return "looked"

    def looking(request, proceed):
        seen.append((yield Blocking(look, 1)))
        seen.append(threading.current_thread())
        return (yield from proceed(request))

    stack.push(looking)
    tenant.set("blue")
    client.call(instance.v3.pay, "get")
    *found, looker, response, runner = seen

    assert (["blue", 1], "looked") == (found, response)
    assert (looker is runner) is (type(client).__name__ == "Sync")


@pytest.mark.parametrize("error", [KeyError("x"), SignatureError("x")], ids=["theirs", "ours"])
def test_error_of_a_blocking_call_is_raised_at_the_yield(gateway, instance, stack, client, error):
    """The middleware may catch it where it asked; the request was not sent."""

    def fail():
        raise error

    def failing(request, proceed):
        try:
            yield Blocking(fail)
        except type(error) as caught:
            return Response(200, content=str(caught is error).encode())

    stack.push(failing)

    assert "True" == client.call(instance.v3.pay, "get").text
    assert [] == gateway.seen


def test_exhausted_iterator_is_an_error_at_the_yield(instance, stack, client):
    """A StopIteration, which generators and futures take for their own, neither ends nor hangs a call."""

    def asking(request, proceed):
        with pytest.raises(RuntimeError, match="StopIteration"):
            yield Blocking(next, iter(()))
        return (yield from proceed(request))

    stack.push(asking)

    assert {} == client.call(instance.v3.pay, "get", timeout=5).json()


def test_result_of_a_blocking_call_is_dropped_on_cancel(gateway, instance, stack):
    """A cancelled call goes no further, though its thread comes to an end."""
    begun, ended, log = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        ended.wait(5)

    def asking(request, proceed):
        try:
            log.append((yield Blocking(slow)))
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        return (yield from proceed(request))

    async def main():
        promise = instance.v3.pay.getAsync()
        await asyncio.to_thread(begun.wait, 5)
        promise.cancel()
        with pytest.raises(asyncio.CancelledError):
            await promise
        ended.set()

    stack.push(asking)
    asyncio.run(main())

    assert (["cancelled"], []) == (log, gateway.seen)


@pytest.mark.parametrize("fails", [False, True], ids=["returns", "raises"])
def test_final_blocking_call_ends_before_its_task_is_cancelled(gateway, instance, stack, fails):
    """What takes hold of something is never left behind: the cancellation comes once it has ended."""
    begun, go_on, left, log = threading.Event(), threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        go_on.wait(5)
        log.append("ended")
        if fails:
            raise ValueError

    def holding(request, proceed):
        try:
            yield Blocking(slow, final=True)
        except asyncio.CancelledError:
            log.append("cancelled")
            left.set()
            raise
        return (yield from proceed(request))

    async def main():
        promise = instance.v3.pay.getAsync()
        await asyncio.to_thread(begun.wait, 5)
        promise.cancel()
        asyncio.get_running_loop().call_later(0.1, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await promise
        # A promise is cancelled at once; its task goes on until the function has ended.
        await asyncio.to_thread(left.wait, 5)

    stack.push(holding)
    asyncio.run(main())

    assert (["ended", "cancelled"], []) == (log, gateway.seen)


def test_pause_waits(instance, stack, client):
    """`yield Pause(seconds)` waits without blocking an event loop."""

    def waiting(request, proceed):
        yield Pause(0.05)
        return (yield from proceed(request))

    stack.push(waiting)
    begun = time.monotonic()
    client.call(instance.v3.pay, "get")

    assert time.monotonic() - begun >= 0.05


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 10**400, "1", None])
def test_pause_takes_seconds(seconds):
    """What neither clock could wait is refused where it is written."""
    with pytest.raises(ConfigurationError, match="Pause: give seconds from 0"):
        Pause(seconds)
