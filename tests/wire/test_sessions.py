"""A session of the caller's stays the caller's."""

from __future__ import annotations

import pytest
import requests
from requests.adapters import HTTPAdapter

from wechatpay import ConnectError


class Recorder(HTTPAdapter):
    """An adapter of the caller's."""

    def __init__(self):
        super().__init__()
        self.sent = []

    def send(self, request, **how):
        """Note the request and send it."""
        self.sent.append((request, how))
        return super().send(request, **how)


@pytest.fixture
def session():
    """Give a session with an adapter of its own."""
    with requests.Session() as session:
        session.mount("http://", Recorder())
        yield session


def test_session_stays_open(session, build, gateway):
    """Whoever made it closes it."""
    instance = build(session=session)
    instance.v3.x.get()
    instance.getDriver().close()
    instance.v3.x.get()

    assert 2 == len(gateway.seen)
    assert 1 == gateway.connections


def test_refused_connection_of_a_session_is_tried_twice(session, build):
    """As without one."""
    instance = build(session=session, base_uri="http://127.0.0.1:1/")
    with pytest.raises(ConnectError):
        instance.v3.x.get()

    assert 2 == len(session.adapters["http://"].sent)


def test_async_side_has_connections_of_its_own(session, build, gateway, looped):
    """A session of requests cannot serve an event loop."""
    instance = build(session=session)
    looped.call(instance.v3.x, "get")

    assert 1 == len(gateway.seen)
    assert [] == session.adapters["http://"].sent
