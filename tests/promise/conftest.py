"""What all tests of promises need."""

import pytest

from wechatpay.promise.background import Background


@pytest.fixture
def background():
    """Give a background and close it afterwards."""
    background = Background()
    yield background
    background.close()
