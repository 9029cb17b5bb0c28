"""What importing costs, and what there is to import."""

from __future__ import annotations

import subprocess
import sys

import keys
import merchants
import pytest
from wire.gateway import SERIAL

import wechatpay

LIBRARIES = ["aiohttp", "asyncio", "cryptography", "requests", "rich", "typer", "urllib3", "yarl"]
LOADED = f"import sys; print(*[name for name in {LIBRARIES} if name in sys.modules])"
BUILD = f"""
import sys
from wechatpay import Builder

base_uri, private_key, public_key = sys.argv[1:]
instance = Builder(
    mchid="{merchants.MCHID}", serial="{merchants.MERCHANT_SERIAL}", private_key=private_key,
    certs={{"{SERIAL}": public_key}}, base_uri=base_uri, proxies={{}},
)
"""


def loaded(program, *arguments):
    """Run a program in a process of its own, and list which libraries it has loaded in the end."""
    command = [sys.executable, "-W", "error", "-c", f"{program}\n{LOADED}", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (0, "") == (run.returncode, run.stderr)
    return run.stdout.split()


def calling(gateway, call):
    """Give the program, and its arguments, that makes a call to the gateway."""
    return f"{BUILD}\n{call}", gateway.url, keys.pem(), keys.public_pem("platform")


def test_import_loads_no_library():
    """A program that only may call WeChat Pay starts as fast as one that never does."""
    assert [] == loaded("import wechatpay; wechatpay.__version__, dir(wechatpay)")


def test_errors_are_caught_without_a_library():
    """Code that catches errors need not be code that sends; nor need code that names what is sent."""
    names = [name for name in wechatpay.__all__ if name.endswith("Error")]

    assert [] == loaded(f"from wechatpay import {', '.join(names)}, Pause, Request, Response, retry")


def test_builder_loads_no_transport():
    """Neither HTTP library is loaded before there is something to send."""
    assert ["cryptography"] == loaded("from wechatpay import Builder")


def test_blocking_program_never_loads_aiohttp(gateway):
    """Who waits for each response pays for no event loop."""
    libraries = loaded(*calling(gateway, "assert instance.v3.pay.get().json() == {}"))

    assert ["cryptography", "requests", "urllib3"] == libraries


def test_asynchronous_program_never_loads_requests(gateway):
    """Who awaits pays for one HTTP library, too."""
    call = "import asyncio\nasync def main(): await instance.v3.pay.getAsync()\nasyncio.run(main())"

    assert ["aiohttp", "asyncio", "cryptography", "yarl"] == loaded(*calling(gateway, call))


def test_public_names_are_sorted_and_load():
    """`__all__` is the whole surface, and no name in it is a promise only."""
    assert sorted(wechatpay.__all__) == wechatpay.__all__
    assert [] == [name for name in wechatpay.__all__ if getattr(wechatpay, name).__name__ != name]
    assert sorted([*wechatpay.__all__, "__version__"]) == dir(wechatpay)


def test_star_import_gives_the_public_names():
    """`from wechatpay import *` gives what `__all__` lists."""
    names = {}
    exec("from wechatpay import *", names)

    assert set(wechatpay.__all__) == names.keys() - {"__builtins__"}


def test_unknown_name_is_an_attribute_error():
    """A misspelt name fails as it does with any module."""
    with pytest.raises(AttributeError, match="module 'wechatpay' has no attribute 'Bilder'"):
        _ = wechatpay.Bilder
