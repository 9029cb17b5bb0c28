"""A gateway that rotates its certificates, and Builders that download them."""

from __future__ import annotations

import time

import pytest
import rotation


class Clock:
    """A clock that can be moved ahead."""

    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        """Tell the time."""
        return time.time() + self.ahead


@pytest.fixture
def clock():
    """Give a clock."""
    return Clock()


@pytest.fixture
def wechat(gateway):
    """Give a WeChat Pay that offers one certificate, and signs with it."""
    wechat = rotation.Rotation("old")
    gateway.behaviour = wechat
    return wechat


@pytest.fixture
def downloading(build, wechat, clock):
    """Give a Builder that knows nothing but its APIv3 key."""
    wechat.now = clock
    return build(**rotation.settings(clock=clock))
