"""What the package costs who does not use it."""

from __future__ import annotations

import subprocess
import sys


def test_no_framework_and_no_http_library_is_loaded():
    """A service that only receives callbacks loads what verifies them, and its own framework."""
    source = (
        "import sys, wechatpay.notification, wechatpay.notification.views;"
        "print([name for name in ('aiohttp', 'asyncio', 'django', 'flask', 'requests', 'starlette')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout
