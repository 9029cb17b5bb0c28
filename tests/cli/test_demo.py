"""The demo notices whatever is not as it should be."""

from __future__ import annotations

import dataclasses
import io

import pytest
import sandboxes
from rich.console import Console

from wechatpay import Builder
from wechatpay.cli.demo.examples import EXAMPLES, SPELLINGS
from wechatpay.cli.demo.page import Page
from wechatpay.cli.demo.run import COLOURS, Outcome, run
from wechatpay.sandbox import Sandbox, faults


@pytest.fixture
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        yield sandbox


@pytest.fixture
def instance(sandbox):
    """Give a Builder that calls it."""
    with Builder(**sandbox.settings()) as instance:
        yield instance


@pytest.fixture(scope="module")
def outcome():
    """Give what the demo comes to when all is well."""
    with Sandbox(identity=sandboxes.identity()) as sandbox, Builder(**sandbox.settings()) as instance:
        return run(sandbox, instance)


def shown(outcome):
    """Print the page, and give its text with single spaces."""
    page = Page(Console(file=io.StringIO(), width=80, highlight=False, markup=False))
    page.introduction("http://127.0.0.1:1/", "1900000109")
    page.first_call(outcome.calls[0])
    page.all_calls(outcome)
    page.forgery(outcome)
    page.verdict(outcome, 1.0)
    return " ".join(page._console.file.getvalue().split())


def test_every_spelling_is_called_sync_and_async(outcome):
    """Four operations, three spellings, sync and async: 24 calls, and nothing differs."""
    assert [
        (example, spelling, colour) for colour in COLOURS for example in EXAMPLES for spelling in SPELLINGS
    ] == [(call.example, call.spelling, call.colour) for call in outcome.calls]
    assert [] == outcome.differences()


def test_page_shows_what_was_asked_signed_answered_and_verified(outcome):
    """A reader sees the call, the five signed lines, the header, the answer, the proof and the forgery."""
    text, call = shown(outcome), outcome.calls[0]
    timestamp, nonce = call.sent.snapshot.text.decode().split("\n")[2:4]

    for part in (
        "instance.v3.eduPapay.user._openid_.contracts.get( openid=",
        f"timestamp {timestamp} nonce {nonce} body (empty)",
        "scheme WECHATPAY2-SHA256-RSA2048 mchid 1900000109",
        '"total_count": 3',
        f"Wechatpay-Serial {call.answer.headers['Wechatpay-Serial']} ✓",
        'instance["v3/edu-papay/user/{openid}/contracts"].get(…)',
        "May a payer pay by palm? 200 200 200 200 200 200",
        "wechatpay.SignatureError: ",
        "All 24 calls were signed, accepted and verified",
    ):
        assert part in text


def test_example_is_the_code_that_ran(outcome, instance):
    """The spellings on the page, typed in, make the paths that were called."""
    for example in EXAMPLES:
        typed = [eval(source, {"instance": instance}) for source in example.sources().values()]

        assert list(example.nodes(instance).values()) == typed
        assert 1 == len(set(typed))


def test_tampered_answer_is_refused(outcome):
    """The forger turns OFF into ON; the client does not believe it."""
    assert outcome.forgery.signed == outcome.forgery.arrived.replace(b"STATE_ON", b"STATE_OFF")
    assert outcome.forgery.signed != outcome.forgery.arrived
    assert outcome.forgery.was_refused


def test_believed_forgery_is_a_difference(sandbox, instance):
    """A client without a verifier fails the demo."""
    instance.getDriver().select("v3").stack.remove("verifier")
    outcome = run(sandbox, instance)

    assert ["the tampered answer was not refused"] == outcome.differences()
    assert "It was not refused: <Response 200" in shown(outcome)
    assert "Something is not as it should be" in shown(outcome)


def test_refused_call_is_a_difference(sandbox, instance):
    """A call that fails is named, with its spelling, its colour and the reason."""
    sandbox.inject(faults.ErrorResponse(403, "NO_AUTH"))
    outcome = run(sandbox, instance)
    (difference,) = outcome.differences()

    assert difference.startswith("v3.eduPapay.user._openid_.contracts, attributes, sync: APIError: GET")
    assert "It failed: GET v3/edu-papay" in shown(outcome)
    assert "signed? failed 200 200" in shown(outcome)


def test_client_that_can_do_nothing_is_shown_all_the_same(sandbox, instance):
    """The page stands when every single call fails."""
    sandbox.inject(faults.MissingHeader(), times=None)
    outcome = run(sandbox, instance)

    assert 25 == len(outcome.differences())
    assert "told the answer lacks Wechatpay-Signature" in shown(outcome)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        pytest.param(
            lambda call: {"sent": call.sent.with_(url=f"{call.sent.url}&x=1")},
            "another target than the first spelling's",
            id="other target",
        ),
        pytest.param(
            lambda call: {"received": dataclasses.replace(call.received, target="/v3/%6F")},
            "the sandbox received another target than was signed",
            id="rewritten on the way",
        ),
        pytest.param(
            lambda call: {"answer": dataclasses.replace(call.answer, content=b"{}")},
            "another answer than to the other spellings",
            id="other answer",
        ),
    ],
)
def test_spelling_that_differs_is_named(outcome, change, difference):
    """All spellings of a call have one target, which arrives as it was signed, and one answer."""
    *calls, last = outcome.calls
    changed = Outcome((*calls, dataclasses.replace(last, **change(last))), outcome.forgery)

    assert any(text.endswith(f"[…], async: {difference}") for text in changed.differences())


def test_call_that_was_not_made_is_a_difference(outcome):
    """Fewer than six calls of an operation are noticed."""
    changed = Outcome(outcome.calls[:-1], outcome.forgery)

    assert ["5 calls were made instead of 6"] == changed.differences()
