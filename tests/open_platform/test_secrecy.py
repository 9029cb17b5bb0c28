"""Tokens and secrets of the open platform show nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import time
import traceback

import pytest
import requests
from interrupts import interrupted, local_variables
from open_platform.accounts import APP, SESSION
from open_platform.conftest import respond
from wire.clients import Sync
from wire.gateway import reply

from wechatpay import (
    APIError,
    ConfigurationError,
    ConnectError,
    NoResponseError,
    TransportError,
    WeChatPayError,
)
from wechatpay.open_platform import FileTokens, RedisTokens, Token
from wechatpay.options import Arguments

APPID = APP["appid"]


def send(client, instance, **options):
    """Make a call that needs a token."""
    return client.call(instance.cgiBin.message.template.send, "post", json={}, **options)


def shown(error):
    """Collect what an error shows of itself, to a crash reporter also local variables, but for the tests'."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in report.stack if "/tests/" not in frame.filename]
    assert len(frames) > 3
    text = "".join(report.format_exception_only()) + "".join(
        f"{frame.line}{frame.locals}" for frame in frames
    )
    return f"{text}{error!r}{error}{error.request!r}{error.response!r}" + repr(pickle.dumps(error))


def refuse(seen, peer, platform):
    """Refuse every token."""
    if "stable_token" in seen.line:
        respond(platform, seen, peer)
    else:
        peer.send(reply(b'{"errcode":40001,"errmsg":"invalid credential"}'))


def hang_up(seen, peer, platform):
    """Respond to no call but those for tokens."""
    if "stable_token" in seen.line:
        respond(platform, seen, peer)
    else:
        peer.close()


def hang_up_at_once(_, peer, __):
    """Respond with nothing."""
    peer.close()


def refuse_for_good(seen, peer, platform):
    """Give one token, refuse it, and give no other."""
    if "stable_token" in seen.line and platform.tokens:
        peer.close()
    else:
        refuse(seen, peer, platform)


def response_nonsense(_, peer, __):
    """Give a token that is none."""
    peer.send(reply(b'{"access_token":"S3CRET"}'))


def redirect(seen, peer, platform):
    """Send callers elsewhere."""
    if "stable_token" in seen.line:
        respond(platform, seen, peer)
    else:
        peer.send(reply(b"", "302 Found", ("Location", "/")))


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (refuse, WeChatPayError),
        (refuse_for_good, APIError),
        (hang_up, NoResponseError),
        (hang_up_at_once, TransportError),
        (response_nonsense, ConnectError),
        (redirect, WeChatPayError),
    ],
)
def test_no_error_shows_a_token_or_the_secret(instance, gateway, platform, client, behaviour, kind):
    """Whatever goes wrong: not in words, repr, pickle or traceback, nor in its local variables."""
    gateway.behaviour = lambda seen, peer: behaviour(seen, peer, platform)
    with pytest.raises(kind) as caught:
        send(client, instance)

    text = shown(caught.value)
    for secret in (APP["secret"], "S3CRET", *platform.tokens):
        assert secret not in text


def test_wrong_secret_is_not_shown(build, platform, client):
    """The secret that was refused is not in the error of its refusal."""
    instance = build(app=APP | {"secret": "wr0ng_s3cret"})
    with pytest.raises(WeChatPayError, match="40125") as caught:
        send(client, instance)

    assert "wr0ng_s3cret" not in shown(caught.value)


@pytest.mark.parametrize("own", [False, True], ids=["ours", "session"])
def test_no_story_and_no_log_shows_a_token_or_the_secret(build, platform, client, caplog, capfd, own):
    """Logs at DEBUG, of this library and of those under it, and ``debug=True``, tell the story without."""
    session = requests.Session() if own else None
    instance = build(app=APP, session=session)
    caplog.set_level(logging.DEBUG)
    send(client, instance, debug=True)
    platform.retire(APPID)
    send(client, instance, debug=True)

    client.call(instance.sns.jscode2session, "get", query=SESSION)

    told = capfd.readouterr().err + caplog.text
    assert 2 == len(platform.tokens)
    assert f"requesting an access_token of {APPID}" in told
    assert "the access_token was refused (40001): replacing it, sending again" in told
    for secret in (APP["secret"], *platform.tokens):
        assert secret not in told


def test_no_request_shows_its_token(instance, platform, client):
    """Requests and responses that middlewares see show method and path; their pickles keep no more."""
    seen = []

    def watch(request, proceed):
        response = yield from proceed(request)
        seen.extend((request, response))
        return response

    instance.getDriver().select("mp").stack.after("token", watch)
    send(client, instance)
    (token,) = platform.tokens
    text = repr(seen) + repr(pickle.dumps(seen))

    assert 4 == len(seen)
    assert token not in text
    assert APP["secret"] not in text


def test_urllib3_logs_our_urls_without_their_queries(caplog, instance, gateway):
    """Secrets are in this protocol's queries; what other code logs through urllib3 stays as it is."""
    caplog.set_level(logging.DEBUG)
    with contextlib.suppress(APIError):
        instance.wxa.getwxadevinfo.get(query={"access_token": "T0KEN"})
    logging.getLogger("urllib3.connectionpool").debug("%s", "/x?access_token=theirs")

    assert "GET /wxa/getwxadevinfo?… HTTP/1.1" in caplog.text
    assert "T0KEN" not in caplog.text
    assert "/x?access_token=theirs" in caplog.text


def test_timer_while_the_secret_is_under_way_leaves_it_in_no_frame(instance, gateway, platform):
    """Frames of the libraries included: they hold the whole request, and error trackers show them."""

    class TimeIsUpError(Exception):
        pass

    def stop(*_):
        raise TimeIsUpError

    gateway.behaviour = lambda *_: os.kill(os.getpid(), signal.SIGUSR1) or time.sleep(1)
    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with pytest.raises(TimeIsUpError) as caught:
            send(Sync(), instance)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert gateway.seen
    assert APP["secret"] not in local_variables(caught.value, "/")


def test_interruption_at_any_line_leaves_no_secret_in_the_frames(build, platform):
    """Error trackers show local variables: a timer's exception while a token is added leaves none there."""
    instance = build(app=APP)
    send(Sync(), instance)
    paths = {"cgi-bin/x": {}, "sns/jscode2session": SESSION}

    def begin(path):
        _, flow = instance.getDriver()._begin("GET", path, Arguments(({"query": paths[path]}, {})))
        next(flow)
        flow.close()

    for path in paths:
        number, found = 0, []
        while error := interrupted(lambda path=path: begin(path), number, ["/open_platform/", "/uri/query"]):
            number, _ = number + 1, found.append(local_variables(error, "/open_platform/"))

        assert 40 < number
        for secret in (APP["secret"], *platform.tokens):
            assert secret not in "\n".join(found)


def test_token_without_a_lifetime_is_in_no_frame(build, gateway, client):
    """A token that cannot be used is none that may be shown."""
    gateway.respond(reply(b'{"access_token":"S3CRET","expires_in":0}'))
    with pytest.raises(ConnectError) as caught:
        send(client, build(app=APP))

    assert "S3CRET" not in local_variables(caught.value)


@pytest.mark.parametrize("text", ['["S3CRET"]', '"S3CRET"', '{"S3CRET":'], ids=["list", "text", "half"])
def test_tokens_of_a_file_that_is_refused_are_in_no_frame(tmp_path, text):
    """What a file holds is not shown, whatever it is."""
    path = tmp_path / "tokens"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="not a file of tokens") as caught:
        FileTokens(path).get("key")

    assert "S3CRET" not in shown_locally(caught.value)


def test_tokens_that_cannot_be_written_are_in_no_frame(tmp_path):
    """A full disk, or a directory that vanished, shows neither the new token nor the others."""
    folder = tmp_path / "folder"
    folder.mkdir()
    store = FileTokens(folder / "tokens")
    folder.rmdir()
    with pytest.raises(ConfigurationError) as caught:
        store.put("key", Token("S3CRET", 4102444800.0))

    assert "S3CRET" not in shown_locally(caught.value)


# An interruption may come between the opening of a file and the `with` that closes it.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["file", "redis"])
def test_interrupted_store_shows_no_token(kind, tmp_path, request):
    """Wherever Ctrl-C or a timer takes a store away, no frame holds a token."""
    store = (
        FileTokens(tmp_path / "tokens")
        if kind == "file"
        else RedisTokens(request.getfixturevalue("clean_redis"))
    )
    store.put("other", Token("S3CRET-1", 4102444800.0))

    def use():
        store.put("key", Token("S3CRET-2", 4102444800.0))
        store.get("other")

    number = 0
    while error := interrupted(use, number, ["/open_platform/stores", "/redis_server"]):
        number += 1
        assert "S3CRET" not in shown_locally(error)

    assert 15 < number


@pytest.mark.parametrize("given", [{}, {"query": {"access_token": "S3CRET"}}], ids=["secret", "token"])
def test_call_that_exceeds_its_time_shows_no_secret(given, build, gateway):
    """What ends a call from outside is raised in aiohttp's frames, and is the cause of a TimeoutError."""
    gateway.behaviour = lambda *_: time.sleep(0.5)
    instance, options = build(app=APP), [given]

    async def main():
        async with asyncio.timeout(0.2):
            await instance.wxa.x.getAsync(options.pop())

    with pytest.raises(TimeoutError) as caught:
        asyncio.run(main())
    chain = [caught.value, caught.value.__cause__]

    assert isinstance(chain[1], asyncio.CancelledError)
    for secret in (APP["secret"], "S3CRET"):
        assert secret not in "".join(map(shown_locally, chain))


def shown_locally(error):
    """Collect the local variables of all frames but the tests'."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(str(frame.locals) for frame in report.stack if "/tests/" not in frame.filename)
