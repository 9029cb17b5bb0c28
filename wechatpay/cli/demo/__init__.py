"""``wechatpay demo``: the product on one page, made of real calls to a sandbox."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from wechatpay.builder import Builder
from wechatpay.cli.demo.page import Page
from wechatpay.cli.demo.run import run
from wechatpay.sandbox import Sandbox

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["show"]


def show(console: Console) -> list[str]:
    """Make the calls and print the page.

    Returns:
        What is not as it should be; ``[]`` if all is well.
    """
    begun, page = time.monotonic(), Page(console)
    with Sandbox() as sandbox, Builder(**sandbox.settings()) as instance:
        page.introduction(sandbox.base_uri, sandbox.identity.mchid)
        outcome = run(sandbox, instance)
        page.first_call(outcome.calls[0])
        page.all_calls(outcome)
        page.forgery(outcome)
    page.verdict(outcome, time.monotonic() - begun)
    return outcome.differences()
