"""State that outlives the process, is saved, loaded and reset, and is apart for each merchant."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import MutableMapping, MutableSequence, MutableSet
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

import pytest
import requests
import sandboxes

from wechatpay import APIError, Builder, ConfigurationError
from wechatpay.sandbox import Identity, Sandbox
from wechatpay.sandbox.callbacks import CompleteResource
from wechatpay.sandbox.orders import Order, Payment
from wechatpay.sandbox.store import Store, Table, decode, encode


@pytest.fixture
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity(), refund_delay=60) as running:
        yield running


@pytest.fixture(scope="module")
def other():
    """Give the keys of a second merchant."""
    return Identity.generate("1900000110", sandboxes.identity().authority)


def order(instance, mchid, number, appid="wx8888888888888888", notify_url="https://example.com/notify"):
    """Place an order of one yuan."""
    return instance.v3.pay.transactions.native.post(
        json={
            "appid": appid,
            "mchid": mchid,
            "description": "tea",
            "out_trade_no": number,
            "notify_url": notify_url,
            "amount": {"total": 100},
        }
    )


def refund(instance, number):
    """Refund 40 fen of an order."""
    amount = {"refund": 40, "total": 100, "currency": "CNY"}
    given = {"out_trade_no": number, "out_refund_no": f"R-{number}", "amount": amount}
    return instance.v3.refund.domestic.refunds.post(json=given)


def state(instance, mchid, number):
    """Return the state of an order."""
    node = instance.v3.pay.transactions.outTradeNo._number_
    return node.get(number=number, query={"mchid": mchid}).json()["trade_state"]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1.5,
        "文",
        [1, [2]],
        {"a": {"b": 1}},
        {1: 2},
        {"$": 1},
        (1, ("a",)),
        {1, 2},
        frozenset({1}),
        b"\x00\xff",
        Decimal("0.10"),
        CompleteResource(a=(1,)),
        Order(out_trade_no="1", appid="2", total=3, trade_type="JSAPI", payment=Payment("1", "2", 3.0)),
    ],
    ids=repr,
)
def test_value_survives(value):
    """What is read is what was written, types included."""
    found = decode(json.loads(json.dumps(encode(value))))

    assert (type(value), value) == (type(found), found)


@pytest.mark.parametrize(
    "name", ["os.system", "keys.Identity.generate", "faults", "..os", "none.Such", "keys.Mode"]
)
def test_nothing_else_is_loaded(name):
    """A file can name dataclasses of the sandbox only."""
    with pytest.raises((ValueError, AttributeError)):
        decode({"$": name, "v": {}})


@dataclass(frozen=True)
class Foreign:
    """A dataclass of another package."""


@pytest.mark.parametrize("value", [object(), Foreign(), len], ids=["object", "dataclass", "function"])
def test_other_types_are_refused(value):
    """The error comes when they are written."""
    with pytest.raises(TypeError, match="tables do not keep"):
        encode(value)


def test_state_is_saved_and_loaded(sandbox):
    """Orders, refunds, the clock and their further course are the same in another sandbox."""
    with Builder(**sandbox.settings()) as instance:
        order(instance, sandbox.identity.mchid, "STORE-1")
        order(instance, sandbox.identity.mchid, "STORE-2")
        sandbox.pay("STORE-1")
        refund(instance, "STORE-1")
        sandbox.advance(30)
    saved = json.loads(json.dumps(sandbox.save()))
    with Sandbox(identity=sandboxes.identity(), refund_delay=60) as again:
        again.load(saved)

        assert sandbox.orders == again.orders
        assert again.now >= sandbox.now - 1
        again.advance(31)
        assert "SUCCESS" == again.orders["STORE-1"].refunds[0].status


def test_reset_returns_to_the_beginning(sandbox):
    """Nothing is left: the same number can be ordered again."""
    with Builder(**sandbox.settings()) as instance:
        order(instance, sandbox.identity.mchid, "STORE-3")
        sandbox.pay("STORE-3")
        sandbox.advance(86400)
        sandbox.reset()

        assert ({}, [], [], []) == (sandbox.orders, sandbox.requests, sandbox.attempts, sandbox.faults)
        assert sandbox.now < time.time() + 60
        order(instance, sandbox.identity.mchid, "STORE-3")
        assert "NOTPAY" == state(instance, sandbox.identity.mchid, "STORE-3")


def test_numbers_are_new_after_a_reset():
    """An app that runs on has not seen them; with a seed they are the same in each run."""

    def run():
        sandbox = Sandbox(identity=sandboxes.identity(), seed="tea", clock=lambda: 1_700_000_000)
        empty = sandbox.save()
        for restore in (lambda: None, sandbox.reset, lambda: sandbox.load(empty)):
            restore()
            sandbox._ledger.place(Order(out_trade_no="STORE-5", appid="wx1", total=1, trade_type="NATIVE"))
            yield sandbox.pay("STORE-5").payment.transaction_id

    first = list(run())

    assert 3 == len(set(first))
    assert first == list(run())


@pytest.mark.parametrize(
    "saved",
    [
        {"none": []},
        {1: [], "none": []},
        {"1900000109.Ledger.orders": [1]},
        {"1900000109.Ledger.orders": [[1, {"$": "x"}]]},
        {"1900000109.Ledger.orders": [[[1], 1]]},
        {"1900000109.Ledger.orders": None},
    ],
)
def test_nonsense_is_not_loaded(sandbox, saved):
    """An error says so, and nothing changes."""
    with Builder(**sandbox.settings()) as instance:
        order(instance, sandbox.identity.mchid, "STORE-4")
    with pytest.raises(ConfigurationError, match="saved: "):
        sandbox.load({**sandbox.save(), **saved})

    assert ["STORE-4"] == list(sandbox.orders)


@pytest.mark.parametrize("saved", [{}, {"clock.advanced": []}, None, [], "{}"], ids=str)
def test_part_of_a_state_is_not_loaded(sandbox, saved):
    """What `save` returns has every table; anything else would wipe those that it lacks."""
    sandbox._ledger.place(Order(out_trade_no="STORE-4", appid="wx1", total=1, trade_type="NATIVE"))
    with pytest.raises(ConfigurationError, match="saved: "):
        sandbox.load(saved)

    assert ["STORE-4"] == list(sandbox.orders)


def test_file_keeps_the_state(tmp_path):
    """A second sandbox on the same file goes on where the first one stopped."""
    file = tmp_path / "state.db"
    make = partial(Sandbox, identity=sandboxes.identity(), db=file, refund_delay=60)
    with make() as sandbox, Builder(**sandbox.settings()) as instance:
        order(instance, sandbox.identity.mchid, "STORE-5")
        sandbox.pay("STORE-5")
        refund(instance, "STORE-5")
        sandbox.advance(86400)
        before = sandbox.orders
    with make() as sandbox, Builder(**sandbox.settings()) as instance:
        assert before == sandbox.orders
        assert sandbox.now > time.time() + 86000
        assert "REFUND" == state(instance, sandbox.identity.mchid, "STORE-5")
        sandbox.reset()
    with make() as sandbox:
        assert {} == sandbox.orders


def test_file_has_one_owner(tmp_path):
    """Two sandboxes would overwrite each other's state."""
    file = tmp_path / "state.db"
    with Sandbox(identity=sandboxes.identity(), db=file), pytest.raises(ConfigurationError, match="locked"):
        Sandbox(identity=sandboxes.identity(), db=file).start()


def test_stopped_sandbox_releases_its_file_and_starts_again(tmp_path):
    """``with`` a second time goes on as before."""
    file = tmp_path / "state.db"
    sandbox = Sandbox(identity=sandboxes.identity(), db=file)
    for number in ("STORE-6", "STORE-7"):
        with sandbox, Builder(**sandbox.settings()) as instance:
            order(instance, sandbox.identity.mchid, number)
    with Sandbox(identity=sandboxes.identity(), db=file) as again:
        assert ["STORE-6", "STORE-7"] == list(again.orders)


def test_foreign_file_is_named(tmp_path):
    """Neither another file nor another version's entries are taken for a state."""
    (tmp_path / "text").write_text("no database, but long enough to be read as one" * 50)
    with pytest.raises(ConfigurationError, match=r"db: .*text: "):
        Sandbox(identity=sandboxes.identity(), db=tmp_path / "text").start()
    with Sandbox(identity=sandboxes.identity(), db=tmp_path / "old"):
        pass
    with sqlite3.connect(tmp_path / "old") as database:
        row = ("1900000109.Ledger.orders", '"1"', '{"$":"orders.Order","v":{"invented":1}}')
        database.execute("INSERT INTO state VALUES (?, ?, ?)", row)
    database.close()
    with pytest.raises(ConfigurationError, match="another version"):
        Sandbox(identity=sandboxes.identity(), db=tmp_path / "old").start()


def test_other_merchants_are_not_forgotten(tmp_path, other):
    """A file with orders of a merchant that is missing now is not overwritten."""
    file = tmp_path / "state.db"
    sandbox = Sandbox(identity=sandboxes.identity(), merchants=[other], db=file)
    with sandbox:
        instance = Builder(**sandbox.merchants[other.mchid].settings())
        order(instance, other.mchid, "MANY-3", other.app["appid"])
        instance.getDriver().close()
    with pytest.raises(ConfigurationError, match="use the same merchants"):
        Sandbox(identity=sandboxes.identity(), db=file).start()


def start(tmp_path):
    """Start ``wechatpay sandbox`` on a file, and return the process and its settings."""
    settings = tmp_path / "settings.json"
    options = ["--db", tmp_path / "db", "--keys", tmp_path / "keys", "--settings-file", settings]
    process = subprocess.Popen(
        [sys.executable, "-m", "wechatpay", "sandbox", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(600):
        if settings.exists():
            break
        time.sleep(0.05)
    given = json.loads(settings.read_text())
    settings.unlink()
    del given["tls"], given["admin"]
    return process, {**given, "proxies": {}}


def test_killed_process_loses_nothing(tmp_path):
    """After SIGKILL the order is there, and paid."""
    process, settings = start(tmp_path)
    mchid = settings["mchid"]
    try:
        with Builder(**settings) as instance:
            order(instance, mchid, "STORE-8")
        url = f"{settings['base_uri']}_sandbox/pay"
        requests.post(url, json={"out_trade_no": "STORE-8"}, timeout=5).raise_for_status()
    finally:
        process.kill()
        process.wait()
    process, settings = start(tmp_path)
    try:
        with Builder(**settings) as instance:
            assert "SUCCESS" == state(instance, mchid, "STORE-8")
    finally:
        process.terminate()
        process.wait()


def test_callback_that_waits_is_kept(tmp_path):
    """It is delivered once the sandbox runs again."""
    make = partial(Sandbox, identity=sandboxes.identity(), db=tmp_path / "db")
    with make() as sandbox, Builder(**sandbox.settings()) as instance:
        order(instance, sandbox.identity.mchid, "STORE-9", notify_url="http://127.0.0.1:1/notify")
        sandbox.pay("STORE-9")
        assert [0] == [attempt.status for attempt in sandbox.attempts]
    with make() as sandbox:
        sandbox.advance(15)
        assert [2] == [attempt.number for attempt in sandbox.attempts]


def test_merchants_are_apart(other):
    """Each has orders, an app, callbacks and keys of its own; the same number is another order."""
    with Sandbox(identity=sandboxes.identity(), merchants=[other]) as sandbox:
        second = sandbox.merchants[other.mchid]
        with Builder(**sandbox.settings()) as one, Builder(**second.settings()) as two:
            order(one, sandbox.identity.mchid, "MANY-1")
            order(two, other.mchid, "MANY-1", other.app["appid"])
            second.pay("MANY-1")

            assert ["NOTPAY", "SUCCESS"] == [
                state(one, sandbox.identity.mchid, "MANY-1"),
                state(two, other.mchid, "MANY-1"),
            ]
            with pytest.raises(APIError, match="mchid"):
                order(two, sandbox.identity.mchid, "MANY-2")
            fields = {"appid": other.app["appid"], "mch_id": other.mchid, "out_trade_no": "MANY-1"}
            assert "SUCCESS" == two.v2.pay.orderquery.post(xml=fields).xml()["trade_state"]
            payer = {"openid": "oUpF8uMuAJOM2pxb1Q", "out_trade_no": "MANY-1", "mch_id": other.mchid}
            assert two.wxa.getpaidunionid.get(query=payer).json()["unionid"]
        assert [sandbox.identity.mchid, other.mchid] == list(sandbox.merchants)
        assert {sandbox.identity.mchid, other.mchid} == {exchange.mchid for exchange in sandbox.exchanges}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: [Identity.generate("1900000111")], "another authority"),
        (lambda: [sandboxes.identity()], "occurs twice"),
    ],
)
def test_merchants_that_clash_are_refused(make, message):
    """TLS has one authority, and a number names one merchant."""
    with pytest.raises(ConfigurationError, match=message):
        Sandbox(identity=sandboxes.identity(), merchants=make())


def test_owners_keep_their_state_in_tables(sandbox):
    """State outside of tables would be lost with the process."""
    exempt = {
        "Bills.files",  # links for half a minute
        "Bills.generated",  # made again from the seed
        "Deliveries.attempts",  # what happened, for tests to look at
        "Deliveries.delivered",
        "Deliveries.in_progress",
        "Deliveries.unseen",
        "Ledger.ledgers",  # each merchant's, which is kept itself
    }
    found = set()
    handlers = sandbox._services.handlers.values()
    owners = [getattr(getattr(handler, "func", handler), "__self__", None) for handler in handlers]
    kept = [sandbox.deliveries, sandbox._ledger, *sandbox._services.owners]
    for owner in filter(None, [*kept, *owners]):
        for name, value in vars(owner).items():
            kinds = (MutableMapping, MutableSequence, MutableSet)
            if isinstance(value, kinds) and not isinstance(value, Table) and name.strip("_") != "handlers":
                found.add(f"{type(owner).__name__}.{name.strip('_')}")

            assert not isinstance(value, Table) or owner in kept
    assert found <= exempt


def test_transaction_writes_once(tmp_path):
    """What one transaction changed is in the file afterwards, and nothing of it before."""
    store, owner = open_store(tmp_path)
    with store.transaction():
        owner.table["a"] = 1
        with store.transaction():
            owner.table["b"] = 2
            del owner.table["a"]
    store.close()

    assert {"b": 2} == saved(tmp_path)


def test_failed_write_is_tried_again(tmp_path):
    """The error is ours; nothing that changed is forgotten."""
    store, owner = open_store(tmp_path)
    store._database.execute("DROP TABLE state")
    with pytest.raises(ConfigurationError, match="db: "), store.transaction():
        owner.table["a"] = 1
    store.close()
    store.open()
    store.close()

    assert {"a": 1} == saved(tmp_path)


def test_wrapped_owner_writes_at_once(tmp_path):
    """Its methods are transactions; its other attributes are what they are."""
    store, owner = open_store(tmp_path)
    store.wrap(owner).put("a", 1)
    assert store.wrap(owner).table is owner.table
    store.close()

    assert {"a": 1} == saved(tmp_path)


class Owner:
    """Somebody with a table."""

    def __init__(self):
        self.table = Table()

    def put(self, key, value):
        """Write one entry."""
        self.table[key] = value


def open_store(folder):
    """Open the store of one owner."""
    store, owner = Store(folder / "db"), Owner()
    store.add("owner", owner)
    store.open()
    return store, owner


def saved(folder):
    """Give what the owner's table has in the file."""
    store, owner = open_store(folder)
    store.close()
    return dict(owner.table)
