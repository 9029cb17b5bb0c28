"""Fixtures for pytest: a sandbox of WeChat Pay for each test, and Builders that call it.

pytest loads them with the package; nothing needs to be configured::

    def test_order_gets_a_link(wechatpay):
        response = wechatpay.v3.pay.transactions.native.post(json={...})
        assert response.json()["code_url"]

``wechatpay_sandbox``
    A running :class:`~wechatpay.sandbox.Sandbox`. Each test has its own; the keys are made once per run.
``wechatpay``
    A :class:`~wechatpay.Builder` with the sandbox's settings and ``check=True``.
``wechatpay_async``
    The same for a test that runs on an event loop, with any plugin. In such a test, await ``apay``,
    ``aadvance`` and ``anotify`` of the sandbox where your own server runs on the same loop.
``@pytest.mark.wechatpay_faults(*faults, **options)``
    Inject faults into the sandbox before the test: objects of :mod:`wechatpay.sandbox.faults`, or text such
    as ``"Reset"`` or ``"ErrorResponse; status=429; code=FREQUENCY_LIMITED"``. The options are those of
    :meth:`~wechatpay.sandbox.Sandbox.inject`. A fault that no request met is an error: the test would pass
    for nothing.

The report of a failed test shows the sandbox's traffic and its seed, and the traceback without the frames of
this package, unless there is ``--full-trace``. ``--wechatpay-seed`` repeats a run with the same numbers, but
for the date in them, and generated responses.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from wechatpay import Builder
    from wechatpay.sandbox import Identity, Sandbox

__all__ = ["wechatpay", "wechatpay_async", "wechatpay_sandbox"]

_SANDBOX = pytest.StashKey["Sandbox"]()
_MARKED = pytest.StashKey[list[dict[str, object]]]()
_PASSED = pytest.StashKey[bool]()

_PACKAGE = Path(__file__).parent

#: Characters of a body that a report shows.
_SHOWN = 400


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--wechatpay-seed``."""
    parser.getgroup("wechatpay").addoption(
        "--wechatpay-seed",
        metavar="SEED",
        default="",
        help="Seed of the sandboxes of wechatpay; random by default. A failed test's report shows it.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and choose the seed, which the workers of pytest-xdist receive."""
    config.addinivalue_line(
        "markers",
        "wechatpay_faults(*faults, path=None, times=1): inject faults of wechatpay.sandbox.faults, or their "
        "names, into the sandbox of the test.",
    )
    config.option.wechatpay_seed = config.option.wechatpay_seed or secrets.token_hex(4)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a marker that would do nothing."""
    has_sandbox = "wechatpay_sandbox" in getattr(item, "fixturenames", ())
    if item.get_closest_marker("wechatpay_faults") and not has_sandbox:
        pytest.fail(
            "wechatpay_faults: the test has no sandbox; request wechatpay_sandbox or wechatpay",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Leave this package's frames out of the report of a failed test, and add the sandbox's traffic."""
    sandbox = item.stash.get(_SANDBOX, None)
    if sandbox and call.excinfo:
        for entry in call.excinfo.traceback:
            if _PACKAGE in Path(entry.path).parents:
                # pytest's own mark; it looks for it among the variables of a module, too.
                entry.frame.f_globals["__tracebackhide__"] = True
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    if report.failed and sandbox:
        lines = [
            *_describe(sandbox, item.config.option.wechatpay_seed),
            *(f"fault {fault}: no request met it" for fault in _unmet_faults(item)),
        ]
        report.sections.append(("wechatpay sandbox", "\n".join(lines)))
    return report


@pytest.fixture(scope="session")
def _wechatpay_identity() -> Identity:
    """Make the keys, once per run."""
    from wechatpay.sandbox import Identity  # noqa: PLC0415  runs without these fixtures must not pay for it

    return Identity.generate()


@pytest.fixture
def wechatpay_sandbox(request: pytest.FixtureRequest, _wechatpay_identity: Identity) -> Iterator[Sandbox]:
    """Run WeChat Pay on loopback, with orders and faults of this test alone."""
    from wechatpay.sandbox import Sandbox  # noqa: PLC0415  the same

    # Every test has numbers of its own, whatever the order of the tests.
    seed = f"{request.config.option.wechatpay_seed} {request.node.nodeid}"
    with Sandbox(identity=_wechatpay_identity, seed=seed) as sandbox:
        # The marker nearest to the test comes last.
        for marker in reversed(list(request.node.iter_markers("wechatpay_faults"))):
            for fault in marker.args:
                sandbox.inject(fault, **marker.kwargs)
        request.node.stash[_SANDBOX] = sandbox
        request.node.stash[_MARKED] = sandbox.faults
        yield sandbox
        if request.node.stash.get(_PASSED, False) and (unmet := _unmet_faults(request.node)):
            pytest.fail(f"wechatpay_faults: no request met {', '.join(unmet)}", pytrace=False)


@pytest.fixture
def wechatpay(wechatpay_sandbox: Sandbox) -> Iterator[Builder]:
    """Make a Builder that calls the sandbox, and compares each call with the documents first."""
    yield from _build(wechatpay_sandbox)


@pytest.fixture
def wechatpay_async(wechatpay_sandbox: Sandbox) -> Iterator[Builder]:
    """Make a Builder for a test on an event loop; its connections end with the loop."""
    yield from _build(wechatpay_sandbox)


def _build(sandbox: Sandbox) -> Iterator[Builder]:
    from wechatpay import Builder  # noqa: PLC0415  the same

    instance = Builder(**sandbox.settings(check=True))
    with instance.getDriver():
        yield instance


def _unmet_faults(item: pytest.Item) -> list[str]:
    """Return those of the marker's faults that never struck; one with a probability may not."""
    waiting = item.stash[_SANDBOX].faults
    return [
        f"{fault['fault']} (path {fault['path']})" if fault["path"] else str(fault["fault"])
        for fault in item.stash.get(_MARKED, [])
        if fault in waiting and fault["probability"] == 1
    ]


def _describe(sandbox: Sandbox, seed: str) -> list[str]:
    """Lay the traffic out: bodies, too, because everything in a sandbox is made up."""
    lines = [f"seed {seed}; repeat it with --wechatpay-seed={seed}"]
    for exchange in sandbox.exchanges:
        request, response = exchange.request, exchange.response
        status = "connection reset" if response is None else response.status
        lines += [f"{request.method} {request.target} → {status}", *_shorten("  sent     ", request.body)]
        lines += _shorten("  received ", response.body) if response else []
    lines += [
        f"callback {made.event} → {made.url}: {made.status or 'no reply'}, attempt {made.number}"
        for made in sandbox.attempts
    ]
    return lines if lines[1:] else [*lines, "no requests"]


def _shorten(label: str, body: bytes) -> list[str]:
    text = body.decode("utf-8", "backslashreplace")
    more = "…" if len(text) > _SHOWN else ""
    return [f"{label}{text[:_SHOWN].strip()}{more}"] if text else []
