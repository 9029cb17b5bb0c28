"""The console in a real browser: what people see, click and press."""

from __future__ import annotations

import asyncio
import base64
import time
from urllib.parse import quote

import pytest
import requests
import sandboxes
from browser import CHROMIUM, page, running
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from wechatpay import APIError, Builder
from wechatpay.sandbox import Sandbox

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

ROWS = "document.querySelectorAll('#exchanges button')"


@pytest.fixture(scope="module")
def sandbox():
    """Give a running sandbox with some orders."""
    with Sandbox(identity=sandboxes.identity(), refund_delay=3600) as running:
        yield running


@pytest.fixture(scope="module")
def chromium():
    """Give the address of a running browser."""
    with running() as address:
        yield address


@pytest.fixture
def visit(sandbox, chromium):
    """Give a function that opens the console, acts, and checks that no script failed."""

    async def main(act, window):
        async with page(chromium) as opened:
            await opened.open(sandbox.base_uri, **window)
            await opened.run("localStorage.clear()")
            await opened.open(sandbox.base_uri, **window)
            await opened.until(f"{ROWS}.length >= 3")
            found = await act(opened)
            assert [] == opened.errors
            return found

    return lambda act, **window: asyncio.run(main(act, window))


@pytest.fixture(autouse=True)
def orders(sandbox):
    """Begin each test with the same traffic."""
    sandbox.reset()
    with Builder(**sandbox.settings()) as instance:
        for number in ("UI-0001", "UI-0002"):
            order(sandbox, instance, number)
        node = instance.v3.pay.transactions.outTradeNo._number_
        with pytest.raises(APIError):
            node.get(number="UI-NONE", query={"mchid": sandbox.identity.mchid})


def order(sandbox, instance, number):
    """Place a Native order of one yuan."""
    instance.v3.pay.transactions.native.post(
        json={
            "appid": sandbox.identity.app["appid"],
            "mchid": sandbox.identity.mchid,
            "description": "<b>tea</b>",
            "out_trade_no": number,
            "notify_url": "http://127.0.0.1:9/notify",
            "amount": {"total": 100},
        }
    )


def test_traffic_is_live_and_explained(visit, sandbox):
    """A request appears by itself; a wrong signature is shown up to where the two texts part."""

    async def act(page):
        await asyncio.to_thread(sign_without_query, sandbox)
        await page.until(f"{ROWS}.length === 4")
        await page.click("#exchanges button")
        await page.until("document.querySelector('.mistake')")
        texts = await page.text(".mistake"), await page.text("mark.right")
        await page.click("#errors")
        await page.until(f"{ROWS}.length === 2")
        await page.type("#filter", "sign_error")
        await page.until(f"{ROWS}.length === 1")
        return texts

    mistake, rest = visit(act)

    assert "the signed target is another one than the request's" == mistake.lower()
    assert rest.startswith("?mchid=")


def sign_without_query(sandbox):
    """Send a request whose signature leaves the query out."""
    identity, stamp = sandbox.identity, str(int(time.time()))
    path = "/v3/pay/transactions/out-trade-no/UI-0001"
    text = f"GET\n{path}\n{stamp}\n{stamp}\n\n".encode()
    signature = base64.b64encode(identity.private_key.sign(text, PKCS1v15(), SHA256())).decode()
    header = (
        f'mchid="{identity.mchid}",nonce_str="{stamp}",signature="{signature}",timestamp="{stamp}",'
        f'serial_no="{identity.serial}"'
    )
    headers = {"Accept": "*/*", "Authorization": f"WECHATPAY2-SHA256-RSA2048 {header}"}
    url = f"{sandbox.base_uri.rstrip('/')}{path}?mchid={identity.mchid}"
    assert 401 == requests.get(url, headers=headers, timeout=5).status_code


def test_order_is_paid_and_refunded_by_clicks(visit, sandbox):
    """The state follows at once; the amount of the refund is what was typed."""

    async def act(page):
        await page.click("#tab-orders")
        await page.type("#scan", "UI-0001")
        await page.run("document.querySelector('.tools').requestSubmit()")
        await page.until("document.querySelector('#pay')")
        assert "<b>tea</b>" in await page.text("#order")
        await page.click("#pay")
        await page.type("#amount", "40")
        await page.click("#refund")
        await page.until("document.querySelector('.refunds')")
        processing = await page.text(".refunds")
        await page.click(".refunds button")
        await page.until("document.querySelector('.refunds').innerText.includes('SUCCESS')")
        return processing

    assert "PROCESSING" in visit(act)
    assert 40 == sandbox.orders["UI-0001"].refunded
    assert "REFUND" == sandbox.orders["UI-0001"].state


@pytest.mark.parametrize(("button", "state"), [("#decline", "NOTPAY"), ("#expire", "NOTPAY")])
def test_order_is_not_paid_by_clicks(visit, sandbox, button, state):
    """A failed attempt leaves the order as it is; an expired order cannot be paid."""

    async def act(page):
        await page.click("#tab-orders")
        await page.click("#orders button")
        await page.click(button)
        await page.until("document.querySelector('.toast')")
        if button == "#expire":
            await page.until("document.querySelector('#pay').disabled")

    visit(act)

    assert {state} == {order.state for order in sandbox.orders.values()}


def test_everything_works_by_keyboard(visit, sandbox):
    """Sections, lists, payment, the way back, and the help."""

    async def act(page):
        await page.press("2")
        await page.until("document.querySelectorAll('#orders button').length === 2")
        await page.press("j")
        await page.press("ArrowDown")
        await page.until("document.querySelector('#order h2')?.innerText.includes('UI-0001')")
        await page.press("p")
        await page.until("document.querySelector('#order h2').innerText.includes('paid')")
        await page.until("!document.querySelector('#order h2').innerText.includes('not paid')")
        await page.press("Escape")
        await page.until("document.querySelector('#order .empty')")
        await page.press("/")
        await page.until("document.activeElement.id === 'scan'")
        await page.run("document.activeElement.blur()")
        await page.press("?")
        await page.until("document.querySelector('#keys').open")
        await page.press("Escape")
        await page.run("document.querySelector('#tab-orders').focus()")
        await page.press("ArrowRight")
        return await page.run("document.activeElement.id")

    assert "tab-callbacks" == visit(act)
    assert "SUCCESS" == sandbox.orders["UI-0001"].state


def test_payer_pays_on_the_phone(visit, sandbox):
    """The code of a Native order leads to a page with the amount and one button."""

    async def act(page):
        await page.click("#tab-orders")
        await page.click("#orders button")
        await page.until("document.querySelector('.code img')?.naturalWidth > 0")
        await page.open(await page.run("document.querySelector('.code').href"), 390, 844, touch=True)
        await page.until("document.activeElement?.id === 'pay'")
        amount = await page.text(".amount")
        await page.press("Enter")
        await page.until("document.querySelector('.done')")
        return amount

    assert "¥1.00" == visit(act)
    assert "SUCCESS" == sandbox.orders["UI-0002"].state


def test_phone_says_when_a_code_is_no_longer_valid(visit, sandbox):
    """An expired order has no button."""
    sandbox.expire("UI-0001")

    async def act(page):
        for number in ("UI-0001", "NONE"):
            await page.open(f"{sandbox.base_uri}_sandbox/phone.html?order={number}")
            await page.until("document.querySelector('.screen h1')")
            assert not await page.run("Boolean(document.querySelector('#pay'))")

    visit(act)


def test_faults_are_injected_and_removed(visit, sandbox):
    """The form has the fields of the fault, and shows the header that does the same."""

    async def act(page):
        await page.click("#tab-faults")
        await page.until("document.querySelector('#header')?.textContent")
        await page.run("kind.value = 'RateLimit'; kind.dispatchEvent(new Event('change', {bubbles: true}))")
        await page.type("#field-code", "RATELIMIT_EXCEEDED")
        header = await page.text("#header")
        await page.type("#times", "")
        await page.type("#probability", "0.5")
        await page.click("#inject")
        await page.until("document.querySelector('#clear')")
        waiting = sandbox.faults
        await page.click("#clear")
        await page.until("!document.querySelector('#clear')")
        return header, waiting

    header, (waiting,) = visit(act)

    assert "Wechatpay-Sandbox-Fault: RateLimit; code=RATELIMIT_EXCEEDED" == header
    assert (None, 0.5) == (waiting["left"], waiting["probability"])
    assert "RATELIMIT_EXCEEDED" in waiting["fault"]
    assert [] == sandbox.faults


def test_callbacks_clock_and_reset(visit, sandbox):
    """A callback can be sent; the clock advances by a click; a reset empties all lists."""

    async def act(page):
        await page.click("#tab-callbacks")
        await page.type("#url", "http://127.0.0.1:9/notify")
        await page.click("form.card button")
        await page.until("document.querySelectorAll('table.rows').length === 2")
        await page.run("seconds.value = '86400'")
        await page.click("#clock button")
        await page.until("document.querySelectorAll('.toast').length === 2")
        now = sandbox.now
        await page.click("#tab-connect")
        await page.click("#reset")
        await page.click("#tab-traffic")
        await page.until("document.querySelector('#exchanges .empty')")
        return now

    assert visit(act) > time.time() + 86000
    assert {} == sandbox.orders


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_console_fits_in_both_languages(visit, sandbox, tmp_path, width, dark):
    """No section is wider than the window; every text is translated."""

    async def act(page):
        texts = {}
        for language in ("en", "zh"):
            for section in ("traffic", "orders", "callbacks", "faults", "connect"):
                await page.click(f"#tab-{section}")
                await asyncio.sleep(0.2)
                await page.shoot(tmp_path / f"{width}-{language}-{section}.png")
                wide = await page.run("document.documentElement.scrollWidth")
                assert wide <= width, (language, section)
                texts[language, section] = await page.text("body")
            await page.click("#language")
        background = await page.run("getComputedStyle(document.body).backgroundColor")
        await page.click("#theme")
        other = await page.run("getComputedStyle(document.body).backgroundColor")
        assert background != other
        return texts

    texts = visit(act, width=width, dark=dark)

    assert "Traffic" in texts["en", "traffic"]
    assert "请求" in texts["zh", "traffic"]
    assert not any("undefined" in text for text in texts.values())


def test_text_in_an_address_is_not_html(visit, sandbox):
    """What a client sends is shown as text."""
    requests.get(f"{sandbox.base_uri}v3/{quote('<img src=x onerror=alert(1)>')}", timeout=5)

    async def act(page):
        await page.until(f"{ROWS}.length >= 4")
        return await page.run("document.querySelectorAll('main img').length")

    assert 0 == visit(act)
