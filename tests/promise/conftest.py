"""What all tests of promises need."""

import asyncio

import pytest

from wechatpay.background import Background
from wechatpay.promise import Promise


@pytest.fixture
def background():
    """Give a background and close it afterwards."""
    background = Background()
    yield background
    background.close()


@pytest.fixture
def start(background):
    """Give a function that starts a call: it ends with a value or an error, after a gate has opened."""

    async def give(value, gate):
        await (asyncio.to_thread(gate.wait) if gate else asyncio.sleep(0))
        if isinstance(value, BaseException):
            raise value
        return value

    return lambda value, gate=None: Promise.start(lambda: give(value, gate), background, name="GET /v3/x")
