"""What the tests of uploads ask for."""

from __future__ import annotations

import pytest
from forms import CONTENT


@pytest.fixture
def path(tmp_path):
    """Give the path of a file of six pieces."""
    path = tmp_path / "门头.jpg"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def upload(client, instance):
    """Give a function that uploads a ``Media``."""
    return lambda media, **options: client.call(
        instance.v3.merchant.media.video_upload, "post", media=media, **options
    )
