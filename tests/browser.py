"""Headless Chromium, driven over its DevTools protocol with aiohttp: no library for it is needed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """A page of the browser."""

    def __init__(self, socket):
        self._socket = socket
        self._numbers = itertools.count(1)
        self.errors = []

    async def command(self, method, **parameters):
        """Send a command, and return its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=30)
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(message["params"]["exceptionDetails"])
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.errors.append(message["params"]["entry"]["text"])
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    async def run(self, script):
        """Run JavaScript, and return the value of its last expression."""
        found = await self.command(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def open(self, url, width=1280, height=860, *, dark=False, touch=False):
        """Open a page in a window of a size."""
        await self.command("Page.enable")
        await self.command("Runtime.enable")
        await self.command("Log.enable")
        await self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=touch,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.command("Emulation.setEmulatedMedia", features=[scheme])
        await self.command("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def until(self, condition, seconds=15.0):
        """Wait until a condition in JavaScript holds."""
        for _ in range(int(seconds / 0.05)):
            if await self.run(f"Boolean({condition})"):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{condition}; {await self.run('document.body.innerText')}")

    async def text(self, selector):
        """Return the text of an element."""
        return await self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    async def click(self, selector):
        """Click an element, once it is there."""
        found = f"document.querySelector({json.dumps(selector)})"
        await self.until(f"{found} && !{found}.disabled")
        await self.run(f"{found}.click()")

    async def type(self, selector, text):
        """Type into a field."""
        quoted = json.dumps(selector)
        await self.until(f"document.querySelector({quoted})")
        await self.run(
            f"(() => {{ const e = document.querySelector({quoted}); e.focus(); e.value = {json.dumps(text)};"
            " e.dispatchEvent(new Event('input', {bubbles: true})); })()"
        )

    async def press(self, key):
        """Press a key."""
        text = {"text": key} if len(key) == 1 else {}
        enter = {"text": "\r"} if key == "Enter" else {}
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowDown": 40, "ArrowUp": 38, "ArrowRight": 39}
        code = {"windowsVirtualKeyCode": codes[key]} if key in codes else {}
        await self.command("Input.dispatchKeyEvent", type="keyDown", key=key, **text, **enter, **code)
        await self.command("Input.dispatchKeyEvent", type="keyUp", key=key, **code)

    async def shoot(self, file):
        """Save a picture of the page."""
        found = await self.command("Page.captureScreenshot", format="png")
        await asyncio.to_thread(Path(file).write_bytes, base64.b64decode(found["data"]))


@contextlib.contextmanager
def running():
    """Run Chromium, and yield the address of its DevTools."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [
                CHROMIUM,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--lang=en-GB",
                "--remote-debugging-port=0",
                f"--user-data-dir={folder}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            line = next(line for line in process.stderr if b"DevTools listening on ws://" in line)
            # The pipe must not run full.
            drain = threading.Thread(target=process.stderr.read, daemon=True)
            drain.start()
            yield line.split(b"ws://")[1].split(b"/")[0].decode()
        finally:
            process.kill()
            process.wait()
            drain.join()
            process.stderr.close()


@contextlib.asynccontextmanager
async def page(address):
    """Open an empty page of a running browser, with storage of its own, and yield it."""
    async with aiohttp.ClientSession() as session:
        async with session.put(f"http://{address}/json/new?about:blank") as response:
            target = await response.json()
        async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            yield Page(socket)
        async with session.get(f"http://{address}/json/close/{target['id']}"):
            pass
