"""A bill comes home whole and checked, or not at all; Authorization goes to no other host."""

from __future__ import annotations

import asyncio
import gc
import gzip
import hashlib
import json
import os
import re
import stat
import threading
from base64 import b64encode
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import ClassVar

import pytest
import smkeys
from bill_samples import ALL, encode
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1
from sandboxes import identity
from scenes import Shop

from wechatpay import (
    APIError,
    Builder,
    ConfigurationError,
    ConnectError,
    CryptoError,
    InvalidRequestError,
    NoResponseError,
    RedirectError,
    ResponseTooLargeError,
    ServerError,
    SignatureError,
    VerificationError,
    bills,
)
from wechatpay.crypto.sm2 import Sm3
from wechatpay.sandbox import Rules, Sandbox, faults
from wechatpay.sandbox.bills import AlteredBill, CutBill, ExpiredUrl, ForeignUrl, WrongDigest
from wechatpay.sandbox.clock import CHINA
from wechatpay.sandbox.fund_texts import Share
from wechatpay.sandbox.messages import Delivery

DAY = date(2023, 11, 15)
NOON = 1_700_020_800
DOWNLOAD = "v3/billdownload/file"
OFFER = "v3/bill/tradebill"


def leftovers(folder):
    """Give what lies in a folder, hidden or not."""
    return sorted(path.name for path in folder.iterdir())


class TestKinds:
    """Every kind of bill."""

    @pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
    def test_trade_bill_comes_home(self, fetch, tmp_path, packed):
        """The file is the plain text, whether it was packed or not, and its rows are the ledger's."""
        bill = fetch(to=tmp_path / "bill.csv", packed=packed)

        assert (tmp_path / "bill.csv",) == bill.paths
        assert ["A1", "A2", "A1"] == [row.out_trade_no for row in bill]
        assert [101, 2000, 50] == [row.refund_total_fen if row.is_refund else row.total_fen for row in bill]
        assert hashlib.sha1(bill.paths[0].read_bytes()).hexdigest() == bill.digests[0].value
        assert ["bill.csv"] == leftovers(tmp_path)

    @pytest.mark.parametrize(("kind", "count"), [("ALL", 3), ("SUCCESS", 2), ("REFUND", 1)])
    def test_types_of_trade_bills_can_be_chosen(self, fetch, kind, count):
        """Payments, refunds or both."""
        with fetch(bill_type=kind) as bill:
            assert count == len(list(bill))

    @pytest.mark.parametrize("account", ["basic", "BASIC", None])
    def test_fund_bill_comes_home(self, fetch, account):
        """Each account has one."""
        with fetch("fund", **({"account": account} if account else {})) as bill:
            assert [101, 1, 2000, 12, 50] == [row.amount_fen for row in bill]
        assert fetch("fund", account="operation").is_empty

    @pytest.mark.parametrize("kind", ["sub-merchant-fund", "ecommerce-fund"])
    @pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
    @pytest.mark.parametrize("algorithm", ["AEAD_AES_256_GCM", "SM4_GCM"])
    def test_encrypted_bill_is_decrypted(self, sandbox, fetch, kind, packed, algorithm, tmp_path):
        """Bills of sub-merchants come encrypted, and lie on the disk as any other."""
        sandbox._ledger._orders = {
            name: replace(order, sub_mchid="1900000777") for name, order in sandbox._ledger._orders.items()
        }
        options = {"sub_mchid": "1900000777"} if kind == "sub-merchant-fund" else {}
        bill = fetch(kind, to=tmp_path, packed=packed, algorithm=algorithm, **options)

        assert f"algorithm={algorithm}" in sandbox.requests[0].target
        assert [101, 1, 2000, 12, 50] == [row.amount_fen for row in bill]
        assert [bill.paths[0].name] == leftovers(tmp_path)

    @pytest.mark.parametrize("kind", ["payscore", "failed-withdrawals", "funds-to-oversea"])
    def test_bill_without_documented_columns_comes_home(self, fetch, sandbox, kind, tmp_path):
        """It is decrypted and checked as any other; reading it says that its columns are not known."""
        text = "\ufeff列,另一列\r\n`1,`2\r\n".encode()
        template, options = {
            "payscore": ("v3/payscore/merchant-bill", {"service_id": "500001"}),
            "failed-withdrawals": ("v3/merchant/fund/withdraw/bill-type/{bill_type}", {}),
            "funds-to-oversea": ("v3/funds-to-oversea/bill-download-url", {"sub_mchid": "1900000777"}),
        }[kind]
        assert fetch(kind, **options).is_empty
        sandbox.bills.put(template, DAY, text)
        bill = fetch(kind, to=tmp_path / "bill.csv", **options)

        assert text == (tmp_path / "bill.csv").read_bytes()
        assert "SHA1" == bill.digests[0].type
        with pytest.raises(bills.BillFormatError, match="read the file as CSV"):
            list(bill)

    @pytest.mark.parametrize("kind", ["statement", "hk-statement"])
    def test_statement_comes_home(self, fetch, sandbox, kind):
        """The overseas statement is signed over its SHA-1, and checked twice."""
        with fetch(kind, mchid=sandbox.identity.mchid, base_uri=sandbox.base_uri) as bill:
            assert [101, 2000, 0] == [row.total_fen for row in bill]
            assert "SHA1" == bill.digests[0].type

    def test_sharing_bills_come_home(self, fetch, sandbox, clock):
        """Shares and returns, at home and overseas, where there is no digest."""
        at = clock.now - 86_400
        share = {"transaction_id": "42", "order_id": "30", "detail_id": "36", "out_order_no": "P1"}
        more = {"order_amount": 2000, "receiver": "1900000002", "amount": 300}
        sandbox._services.bills._shares = lambda: [
            Share(at, **share, **more),
            Share(at, **share, **more, is_return=True),
        ]
        with fetch("sharing") as bill, fetch("overseas-sharing") as overseas:
            assert ["分账", "分账回退"] == [row.business_type for row in bill]
            assert [300, 300] == [row.amount_fen for row in bill]
            assert ["36"] == [row.detail_id for row in overseas]
            assert (None,) == overseas.digests
        with fetch("overseas-sharing-refunds") as refunds:
            assert ["RETURN"] == [row.business_type for row in refunds]
            assert (None,) == refunds.digests

    def test_shares_of_orders_are_in_the_bill(self, fetch, sandbox, instance, clock):
        """What was shared and returned through the API is what the bill says."""
        clock.now = NOON
        share = Shop(sandbox, instance).shared()
        clock.now += 86_400
        with fetch("sharing") as bill:
            (row,) = bill

        assert (share["out_order_no"], 100, 1000, "share") == (
            row.out_order_no,
            row.amount_fen,
            row.order_amount_fen,
            row.description,
        )

    def test_v2_trade_bill_comes_home(self, fetch, sandbox):
        """APIv2 has no digest; its summary is checked as it is read."""
        with fetch("v2-trade", appid="wx1", mchid=sandbox.identity.mchid) as bill:
            assert ["A1", "A2", "A1"] == [row.out_trade_no for row in bill]

    @pytest.mark.parametrize("kind", ["trade", "statement", "v2-trade"])
    def test_bill_of_a_sub_merchant_has_its_own_orders(self, fetch, sandbox, kind):
        """Without one it has those of all."""
        sandbox._ledger._orders["A2"] = replace(sandbox._ledger._orders["A2"], sub_mchid="1900000777")
        mchid = sandbox.identity.mchid
        options = {
            "trade": {},
            "statement": {"mchid": mchid, "base_uri": sandbox.base_uri},
            "v2-trade": {"appid": "wx1", "mchid": mchid},
        }[kind]
        for more, expected in (({}, {"A1", "A2"}), ({"sub_mchid": "1900000777"}, {"A2"})):
            with fetch(kind, **options, **more) as bill:
                assert expected == {row.out_trade_no for row in bill}

    def test_filled_day_has_any_number_of_rows(self, fetch, sandbox):
        """The sandbox makes as many orders as wanted, the same ones from the same seed."""
        sandbox.bills.fill(DAY, 500, "seed")
        with fetch() as bill:
            first = [dict(row) for row in bill]
        sandbox.bills.fill(DAY, 500, "seed")
        with fetch() as bill:
            assert first == [dict(row) for row in bill]
        assert 503 < len(first) < 600
        with fetch("fund") as bill:
            assert 1000 < sum(1 for _ in bill)


class TestState:
    """Generated orders and given files are part of the sandbox's state."""

    @staticmethod
    def change(sandbox):
        """Fill a day, and give another bill."""
        sandbox.bills.fill(DAY, 3, "seed")
        sandbox.bills.put("v3/profitsharing/bills", DAY, b"a,b\r\n`1,`2\r\n")

    @staticmethod
    def look(fetch):
        """Return what they look like."""
        with fetch() as trade, fetch("sharing") as sharing:
            numbers = [row.out_trade_no for row in trade] if trade.paths else []
            return numbers, [path.read_bytes() for path in sharing.paths]

    def test_reset_removes_them(self, sandbox, fetch):
        """There are no orders, either; a new one is alone in its bill."""
        self.change(sandbox)
        sandbox.reset()
        assert ([], []) == self.look(fetch)

    def test_they_are_saved_and_loaded(self, sandbox, fetch):
        """As JSON, into the same sandbox or another one."""
        self.change(sandbox)
        before = self.look(fetch)
        saved = json.loads(json.dumps(sandbox.save()))
        sandbox.reset()
        sandbox.load(saved)

        assert before == self.look(fetch)
        assert 6 <= len(before[0])

    def test_they_are_kept_in_the_file(self, tmp_path):
        """A process that begins anew has them."""
        today = datetime.now(CHINA).date()
        for is_new in (True, False):
            with (
                Sandbox(identity=identity(), db=tmp_path / "db", rules=Rules(early_bills=True)) as sandbox,
                Builder(**sandbox.settings()) as instance,
            ):
                if is_new:
                    sandbox.bills.fill(today, 3, "seed")
                else:
                    with bills.fetch(instance, "trade", today) as bill:
                        assert 3 == sum(not row.is_refund for row in bill)

    @pytest.mark.parametrize("count", [-3, 1.0, "3", True, None])
    def test_count_that_is_not_a_number_is_refused(self, sandbox, fetch, count):
        """The bill stays as it was."""
        with pytest.raises(ConfigurationError, match="count: give a whole number, 0 or more"):
            sandbox.bills.fill(DAY, count)
        assert ["A1", "A2", "A1"] == self.look(fetch)[0]

    @pytest.mark.parametrize("day", [datetime(2023, 11, 15, tzinfo=CHINA), "2023-11-15", None])
    def test_day_that_is_not_a_date_is_refused(self, sandbox, fetch, day):
        """The bills stay as they were."""
        with pytest.raises(ConfigurationError, match=f"day: give a date, not {type(day).__name__}"):
            sandbox.bills.fill(day, 3)
        with pytest.raises(ConfigurationError, match=f"day: give a date, not {type(day).__name__}"):
            sandbox.bills.put("v3/bill/tradebill", day, b"a,b\r\n`1,`2\r\n")
        assert ["A1", "A2", "A1"] == self.look(fetch)[0]


class TestV2Funds:
    """APIv2's fund bill, which needs the merchant certificate and has its digest in a header."""

    @pytest.fixture
    def instance(self, sandbox):
        """Give a Builder with the merchant certificate."""
        with Builder(**sandbox.settings(tls=True)) as instance:
            yield instance

    def test_fund_bill_comes_home(self, fetch, sandbox):
        """Its digest is checked."""
        with fetch("v2-fund", appid="wx1", mchid=sandbox.identity.mchid, account="basic") as bill:
            assert [101, 1, 2000, 12, 50] == [row.amount_fen for row in bill]
            assert "SHA1" == bill.digests[0].type

    def test_altered_fund_bill_is_refused(self, fetch, sandbox, tmp_path):
        """As any other."""
        sandbox.inject(AlteredV2())
        with pytest.raises(bills.DigestError):
            fetch("v2-fund", to=tmp_path, appid="wx1", mchid=sandbox.identity.mchid)
        assert not leftovers(tmp_path)

    def test_day_without_bookings_is_empty(self, fetch, sandbox):
        """An error that comes with status 200 and no digest is understood."""
        options = {"appid": "wx1", "mchid": sandbox.identity.mchid}
        assert fetch("v2-fund", date(2023, 11, 14), **options).is_empty

    def test_fund_bill_is_there_from_ten_the_next_morning(self, fetch, sandbox, clock):
        """Too early, the sandbox says that it is being made."""
        options = {"appid": "wx1", "mchid": sandbox.identity.mchid}
        clock.now = datetime.fromisoformat("2023-11-16T09:59:59+08:00").timestamp()
        with pytest.raises(bills.BillNotReadyError, match="2023-11-16 10:00") as caught:
            fetch("v2-fund", **options)
        clock.now += 1

        assert "BILL_CREATING" == caught.value.code
        assert list(fetch("v2-fund", **options))


class AlteredV2(AlteredBill):
    """An altered bill of APIv2."""

    protocols = frozenset({"v2"})
    templates = frozenset()


@dataclass(frozen=True, slots=True)
class OtherOffer(faults.Fault):
    """A signed response that names other files than there are."""

    offer: bytes
    protocols: ClassVar = frozenset({"v3"})

    def deliver(self, proceed, signer):
        """Replace the response."""
        return Delivery(signer.sign(replace(proceed(), body=self.offer)))


class TestFaults:
    """Each fault is the right error, and leaves no file."""

    @pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
    @pytest.mark.parametrize(
        ("fault", "path", "error"),
        [
            (AlteredBill(), DOWNLOAD, bills.DigestError),
            (CutBill(), DOWNLOAD, bills.DigestError),
            (CutBill(10_000), DOWNLOAD, bills.DigestError),
            (WrongDigest(), OFFER, bills.DigestError),
            (faults.HtmlPage(200), DOWNLOAD, bills.DigestError),
            (ForeignUrl(), OFFER, InvalidRequestError),
            (faults.Redirect("https://bills.example.com/"), DOWNLOAD, RedirectError),
            (faults.Redirect("https://bills.example.com/"), OFFER, RedirectError),
            (faults.WrongSignature(), OFFER, SignatureError),
        ],
        ids=[
            "altered",
            "cut off",
            "nothing",
            "wrong digest",
            "HTML page",
            "foreign URL",
            "redirect",
            "redirect of the offer",
            "forged offer",
        ],
    )
    def test_fault_is_an_error_at_once(self, sandbox, fetch, tmp_path, packed, fault, path, error):
        """What does not match is not asked for again, and what was there before stays."""
        target = tmp_path / "bill.csv"
        target.write_text("old")
        sandbox.inject(fault, path=path)
        with pytest.raises(error):
            fetch(to=target, packed=packed)

        assert ["bill.csv"] == leftovers(tmp_path)
        assert "old" == target.read_text()
        assert 1 == sum(OFFER in request.path for request in sandbox.requests)
        assert all(request.headers["Host"].startswith("127.0.0.1") for request in sandbox.requests)

    @pytest.mark.parametrize(
        ("fault", "path", "error"),
        [
            (faults.TruncatedBody(), DOWNLOAD, NoResponseError),
            (faults.Reset(), DOWNLOAD, NoResponseError),
            (faults.Reset(), OFFER, NoResponseError),
            (faults.HtmlPage(502), DOWNLOAD, ServerError),
            (faults.ErrorResponse(500), OFFER, ServerError),
            (faults.RateLimit(), OFFER, APIError),
            (ExpiredUrl(), OFFER, APIError),
        ],
        ids=[
            "truncated",
            "reset",
            "reset of the offer",
            "bad gateway",
            "server error",
            "rate limit",
            "expired",
        ],
    )
    def test_passing_trouble_starts_over(self, sandbox, fetch, tmp_path, fault, path, error):
        """Twice the bill is asked for anew, with a new URL; the third error is the caller's."""
        sandbox.inject(fault, path=path, times=2)
        bill = fetch(to=tmp_path)
        assert 3 == len(list(bill))
        assert [bill.paths[0].name] == leftovers(tmp_path)
        bill.paths[0].unlink()

        sandbox.inject(fault, path=path, times=3)
        with pytest.raises(error):
            fetch(to=tmp_path)
        assert not leftovers(tmp_path)
        assert 6 == sum(OFFER in request.path for request in sandbox.requests)

    @pytest.mark.parametrize(
        ("fault", "path"),
        [
            (WrongDigest(), DOWNLOAD),
            (WrongDigest(), "v3/global/profit-sharing/bill-download-url"),
            (WrongDigest(), "v3/certificates"),
            (ExpiredUrl(), DOWNLOAD),
            (ForeignUrl(), "v3/global/statements"),
            (AlteredBill(), OFFER),
            (CutBill(), "v3/profitsharing/bills"),
        ],
    )
    def test_fault_of_another_path_is_refused(self, sandbox, fault, path):
        """A test that injects it there would pass for nothing: the error says where it applies."""
        name = type(fault).__name__
        with pytest.raises(
            ConfigurationError, match=f"^path: {name} does not apply to '{path}', but to .*v3/"
        ):
            sandbox.inject(fault, path=path)
        assert not sandbox.faults

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (AlteredBill(), bills.DigestError),
            (CutBill(), bills.DigestError),
            (WrongDigest(), bills.DigestError),
            (ForeignUrl(), InvalidRequestError),
        ],
    )
    def test_fault_without_a_path_waits_for_its_request(self, sandbox, instance, fetch, fault, error):
        """Whatever is called before does not take it."""
        sandbox.inject(fault)
        instance.v3.pay.transactions.outTradeNo._number_.get(
            number="A1", query={"mchid": sandbox.identity.mchid}
        )
        with pytest.raises(error):
            fetch()
        assert not sandbox.faults

    @pytest.mark.parametrize(
        ("fault", "path"),
        [(ExpiredUrl(), "v3/merchant/fund/withdraw/bill-type/NO_SUCC"), (AlteredBill(), None)],
    )
    def test_fault_leaves_error_responses_as_they_are(self, sandbox, fetch, fault, path):
        """There is no file, or nothing that names one: the day is empty, the URL has expired."""
        sandbox.inject(fault, path=path)
        if path:
            assert fetch("failed-withdrawals").is_empty
        else:
            sandbox.inject(ExpiredUrl())
            assert 3 == len(list(fetch()))
        assert not sandbox.faults

    @pytest.mark.parametrize("kind", ["ecommerce-fund", "failed-withdrawals"])
    def test_every_file_can_be_altered(self, sandbox, fetch, kind):
        """An encrypted one, and one without amounts."""
        sandbox.bills.put("v3/merchant/fund/withdraw/bill-type/{bill_type}", DAY, b"a,b\r\n`1,`2\r\n")
        sandbox.inject(AlteredBill())
        with pytest.raises(bills.DigestError):
            fetch(kind)

    def test_altered_encrypted_bill_is_refused(self, sandbox, fetch, tmp_path):
        """The cipher's tag is checked before anything is kept."""
        sandbox.inject(faults.TamperedBody(lambda body: body[:-1] + bytes([body[-1] ^ 1])), path=DOWNLOAD)
        with pytest.raises(bills.DigestError, match="decrypted"):
            fetch("ecommerce-fund", to=tmp_path, packed=False)
        sandbox.inject(CutBill(10_000), path=DOWNLOAD)
        with pytest.raises(bills.DigestError, match="decrypted"):
            fetch("ecommerce-fund", to=tmp_path)
        assert not leftovers(tmp_path)

    @pytest.mark.parametrize(
        "offer",
        [
            b"{}",
            b'{"download_bill_count":2,"download_bill_list":[]}',
            b'{"download_bill_count":2,"download_bill_list":[{"bill_sequence":1}]}',
            b'{"download_bill_count":2,"download_bill_list":[{"bill_sequence":1},{"bill_sequence":1}]}',
        ],
    )
    def test_encrypted_bill_with_a_missing_part_is_refused(self, sandbox, fetch, tmp_path, offer):
        """A part of a day, or nothing, is not taken for the whole of it."""
        sandbox.inject(OtherOffer(offer))
        with pytest.raises(bills.BillFormatError, match="fetch it again"):
            fetch("ecommerce-fund", to=tmp_path)
        assert not leftovers(tmp_path)

    def test_altered_statement_is_refused(self, sandbox, fetch, tmp_path):
        """Its SHA-1 is signed, and its bytes have to match it."""
        sandbox.inject(faults.TamperedBody(lambda body: body.replace(b"1.01", b"9.01")))
        with pytest.raises(VerificationError):
            fetch("statement", to=tmp_path, mchid=sandbox.identity.mchid)
        assert not leftovers(tmp_path)

    def test_digest_error_explains(self, sandbox, fetch):
        """It has both digests, and says when a page came instead of the bill."""
        sandbox.inject(faults.HtmlPage(200), path=DOWNLOAD)
        with pytest.raises(bills.DigestError, match="HTML") as caught:
            fetch()

        assert 40 == len(caught.value.expected) == len(caught.value.actual)

    @pytest.mark.parametrize("type_", ["MD5", None, ""])
    def test_unknown_digest_is_refused(self, sandbox, instance, type_):
        """A digest that is not understood is not passed over."""
        signed = {
            "download_url": "https://api.mch.weixin.qq.com/x",
            "hash_type": type_,
            "hash_value": "0" * 40,
        }
        with pytest.raises(bills.DigestError, match="hash_type"):
            bills.download(instance, signed, "file")
        signed |= {"hash_type": "SHA1", "hash_value": "12"}
        with pytest.raises(bills.DigestError, match="hash_value"):
            bills.download(instance, signed, "file")
        assert not sandbox.requests

    def test_size_is_bounded(self, sandbox, fetch, tmp_path, monkeypatch):
        """A small file that unpacks to very much does not fill the disk, and is not asked for again."""
        monkeypatch.setattr("wechatpay.bills.checked.MAX_SIZE", 100)
        with pytest.raises(ResponseTooLargeError):
            fetch(to=tmp_path)
        assert not leftovers(tmp_path)
        assert 2 == len(sandbox.requests)


class TestDays:
    """Days without a bill."""

    @pytest.mark.parametrize(
        "kind", ["trade", "fund", "sharing", "v2-trade", "ecommerce-fund", "overseas-sharing", "statement"]
    )
    def test_day_on_which_nothing_happened_is_an_empty_bill(self, fetch, sandbox, tmp_path, kind):
        """No error, no file, no rows."""
        mchid = {"mchid": sandbox.identity.mchid}
        options = {"v2-trade": {"appid": "wx1", **mchid}, "statement": mchid}.get(kind, {})
        bill = fetch(kind, date(2023, 11, 14), tmp_path, **options)

        assert bill.is_empty
        assert [] == list(bill)
        assert f"<Bill {kind} 2023-11-14, empty>" == repr(bill)
        assert not leftovers(tmp_path)

    @pytest.mark.parametrize("kind", ["trade", "fund", "ecommerce-fund", "statement", "v2-trade"])
    def test_bill_of_the_sandbox_exists_from_ten_the_next_morning(self, fetch, sandbox, clock, kind):
        """As WeChat Pay's: not in the evening of its day, nor a second too early."""
        ids = {"appid": "wx1", "mchid": sandbox.identity.mchid}
        options = {"statement": {"mchid": ids["mchid"]}, "v2-trade": ids}.get(kind, {})
        for early in ("2023-11-15T23:00+08:00", "2023-11-16T09:59:59+08:00"):
            clock.now = datetime.fromisoformat(early).timestamp()
            with pytest.raises(bills.BillNotReadyError, match="2023-11-16 10:00") as caught:
                fetch(kind, **options)
            assert ("20002" if kind == "v2-trade" else "STATEMENT_CREATING") == caught.value.code
        clock.now += 1

        assert list(fetch(kind, **options))

    @pytest.mark.parametrize("kind", ["trade", "v2-trade"])
    def test_bill_of_the_sandbox_exists_at_once_if_a_rule_says_so(self, fetch, sandbox, clock, kind):
        """A test need not advance the clock."""
        options = {"v2-trade": {"appid": "wx1", "mchid": sandbox.identity.mchid}}.get(kind, {})
        clock.now = NOON + 3600
        sandbox.rules.early_bills = True

        assert {"A1", "A2"} == {row.out_trade_no for row in fetch(kind, **options)}

    def test_empty_response_too_early_is_not_an_empty_bill(self, sandbox, fetch, clock):
        """Before ten in the morning a day without a bill may have one yet: the error says when to ask."""
        clock.now -= 3 * 3600
        sandbox.inject(faults.ErrorResponse(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在"))
        with pytest.raises(bills.BillNotReadyError, match="2023-11-16 10:00") as caught:
            fetch("fund", account="fees")

        assert datetime.fromisoformat("2023-11-16T10:00+08:00") == caught.value.ready_at
        assert "NO_STATEMENT_EXIST" == caught.value.code

    @pytest.mark.parametrize(
        ("hour", "ready"),
        [(-24, "2023-11-16T10:00+08:00"), (0, "2023-11-16T12:32+08:00")],
        ids=["early", "late"],
    )
    def test_bill_that_is_being_made_is_an_error_that_says_when(self, sandbox, fetch, clock, hour, ready):
        """After ten, half an hour later."""
        clock.now += hour * 3600
        sandbox.inject(faults.ErrorResponse(400, "STATEMENT_CREATING", "账单生成中"))
        with pytest.raises(bills.BillNotReadyError) as caught:
            fetch()

        assert datetime.fromisoformat(ready) == caught.value.ready_at
        assert caught.value.verified

    def test_v2_says_the_same_in_text(self, sandbox, fetch, monkeypatch):
        """APIv2 has one code for both, and a text for each."""
        monkeypatch.setattr("wechatpay.sandbox.bill_texts.trade_bill", lambda *_: None)
        options = {"appid": "wx1", "mchid": sandbox.identity.mchid}
        assert fetch("v2-trade", **options).is_empty
        sandbox.inject(
            faults.TamperedBody(lambda body: body.replace(b"No Bill Exist", b"Bill Creating")),
            path="v2/pay/downloadbill",
        )
        with pytest.raises(bills.BillNotReadyError):
            fetch("v2-trade", **options)

    @pytest.mark.parametrize("code", ["PARAM_ERROR", "INVALID_REQUEST"])
    def test_wrong_argument_is_not_a_matter_of_time(self, sandbox, fetch, clock, code):
        """Before ten in the morning, too, the error is WeChat Pay's own: nobody waits a day for it."""
        clock.now -= 3 * 3600
        sandbox.inject(faults.ErrorResponse(400, code, "bill_type 不合法"), path=OFFER)
        with pytest.raises(APIError, match="bill_type") as caught:
            fetch(bill_type="FOO")

        assert not isinstance(caught.value, bills.BillNotReadyError)

    def test_other_errors_are_passed_on(self, fetch):
        """A day of long ago has expired."""
        with pytest.raises(APIError, match="已过期") as caught:
            fetch(date=date(2020, 1, 1))

        assert not isinstance(caught.value, bills.BillNotReadyError)


class TestArguments:
    """What `fetch` takes."""

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"kind": "trades"}, "kind: 'trades' is unknown"),
            ({"date": "2023-11-31"}, "not a day"),
            ({"date": "20231115"}, "not a day"),
            ({"date": datetime(2023, 11, 15)}, "date: give a date"),  # noqa: DTZ001  it is refused
            ({"date": 5}, "date: give a date"),
            ({"account": "basic"}, "account: a bill of kind 'trade' does not take it"),
            ({"kind": "v2-trade", "appid": "wx1"}, "mchid: a bill of kind 'v2-trade' requires it"),
            ({"kind": "statement"}, "mchid or sp_mchid: a bill of kind 'statement' requires it"),
            ({"kind": "payscore"}, "service_id: a bill of kind 'payscore' requires it"),
            ({"attempts": 0}, "attempts: give 1 or more"),
            ({"to": "/nowhere/at/all.csv"}, "to: the directory '/nowhere/at' does not exist: create it"),
            ({"to": "/dev/null/"}, "to: no file can be made in '/dev/null'"),
            ({"to": "/dev/null"}, "not a plain file"),
        ],
    )
    def test_wrong_arguments_are_named_before_anything_is_sent(self, sandbox, fetch, arguments, words):
        """The error says which one, and what to give."""
        with pytest.raises(InvalidRequestError, match=re.escape(words)):
            fetch(**arguments)
        assert not sandbox.requests

    def test_directory_gets_a_named_file(self, fetch, tmp_path):
        """The name says kind, account and day."""
        fetch("fund", "2023-11-15", tmp_path, account="basic")
        assert ["fund-basic-2023-11-15.csv"] == leftovers(tmp_path)

    def test_directory_that_does_not_exist_is_created(self, fetch, tmp_path):
        """A slash at the end means a directory: bills of two days do not overwrite each other."""
        fetch(to=f"{tmp_path}/made/bills/")
        fetch(kind="fund", to=f"{tmp_path}/made/bills/")
        assert ["fund-2023-11-15.csv", "trade-2023-11-15.csv"] == leftovers(tmp_path / "made" / "bills")

    def test_link_is_followed(self, fetch, tmp_path):
        """A link stays a link, as for open()."""
        (tmp_path / "real").mkdir()
        (tmp_path / "bill.csv").symlink_to(tmp_path / "real" / "bill.csv")
        fetch(to=tmp_path / "bill.csv")

        assert (tmp_path / "bill.csv").is_symlink()
        assert ["bill.csv"] == leftovers(tmp_path / "real")

    def test_file_permissions_follow_the_umask(self, fetch, tmp_path):
        """The file is as readable as any other that the program makes."""
        before = os.umask(0o027)
        try:
            fetch(to=tmp_path / "bill.csv")
        finally:
            os.umask(before)
        assert 0o640 == stat.S_IMODE((tmp_path / "bill.csv").stat().st_mode)

    def test_temporary_file_goes_with_the_bill(self, fetch):
        """Without a path the file is ours, and removed at the end of ``with``, or with the bill."""
        with fetch() as bill:
            path = bill.paths[0]
            assert path.exists()
            assert "<Bill trade 2023-11-15, 1 file>" == repr(bill)
        assert not path.parent.exists()
        bill = fetch()
        path = bill.paths[0]
        del bill
        gc.collect()
        assert not path.parent.exists()

    def test_progress_is_reported(self, fetch):
        """Bytes so far, and bytes in all."""
        seen = []
        fetch(progress=lambda *numbers: seen.append(numbers), packed=False).close()

        assert seen
        assert seen[-1][0] == seen[-1][1] > 0

    def test_progress_that_fails_leaves_nothing(self, fetch, tmp_path):
        """Whatever the callback raises comes out, Ctrl-C included."""

        def interrupt(*_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fetch(to=tmp_path, progress=interrupt)
        assert not leftovers(tmp_path)


def test_cancelled_fetch_leaves_nothing(sandbox, instance, clock, tmp_path):
    """A task that is cancelled in the middle of a download removes what it wrote."""
    sandbox.inject(faults.Delay(5), path=DOWNLOAD)

    async def run():
        async with instance:
            task = asyncio.create_task(bills.afetch(instance, "trade", DAY, tmp_path, clock=clock))
            while not any(DOWNLOAD in request.path for request in sandbox.requests):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    assert not leftovers(tmp_path)


def test_event_loop_is_not_blocked(sandbox, instance, clock):
    """Unpacking and hashing happen on another thread."""
    threads = set()
    sandbox.bills.fill(DAY, 1000)

    async def run():
        async with instance:
            await bills.afetch(
                instance,
                "trade",
                DAY,
                clock=clock,
                progress=lambda *_: threads.add(threading.current_thread()),
            )

    asyncio.run(run())
    assert threading.main_thread() not in threads


class TestDownload:
    """Receipts and other files that a signed response names."""

    @pytest.fixture
    def offer(self, sandbox, clock):
        """Give a function that offers a file, and gives what a signed response says of it."""

        def offer(content, type_="SHA256", value=None):
            sandbox._services.bills._files["t"] = (clock.now + 99, content)
            if value is None:
                value = hashlib.new(type_, content).hexdigest()
            return {
                "download_url": f"{sandbox.base_uri}{DOWNLOAD}?token=t",
                "hash_type": type_,
                "hash_value": value,
            }

        return offer

    @pytest.fixture(params=["sync", "async"])
    def download(self, request, instance):
        """Give a function that downloads in one way of calling and then in the other."""

        def download(*arguments, **options):
            if request.param == "sync":
                return bills.download(instance, *arguments, **options)

            async def run():
                async with instance:
                    return await bills.adownload(instance, *arguments, **options)

            return asyncio.run(run())

        return download

    @pytest.mark.parametrize("type_", ["SHA1", "SHA256", "sha256", "SM3"])
    @pytest.mark.parametrize("content", [b"%PDF-1.4 receipt", b"", b"%"], ids=["PDF", "nothing", "a byte"])
    def test_file_that_matches_is_kept(self, offer, download, tmp_path, type_, content):
        """With each kind of digest."""
        value = Sm3(content).digest().hex() if type_ == "SM3" else None
        assert tmp_path / "receipt.pdf" == download(offer(content, type_, value), tmp_path / "receipt.pdf")
        assert content == (tmp_path / "receipt.pdf").read_bytes()

    @pytest.mark.parametrize("type_", ["SHA1", "SHA256", "SM3"])
    def test_file_that_does_not_match_is_discarded(self, offer, download, tmp_path, type_):
        """Nothing stays behind."""
        size = 40 if type_ == "SHA1" else 64
        with pytest.raises(bills.DigestError):
            download(offer(b"%PDF-1.4 receipt", type_, "0" * size), tmp_path / "receipt.pdf")
        assert not leftovers(tmp_path)

    def test_file_without_a_digest_needs_a_word(self, offer, download, tmp_path):
        """Fapiao files have none: the caller says so."""
        signed = {"download_url": offer(b"%PDF")["download_url"], "status": "ISSUED"}
        with pytest.raises(bills.DigestError, match="require_hash"):
            download(signed, tmp_path / "fapiao.pdf")
        download(signed, tmp_path / "fapiao.pdf", require_hash=False)
        assert b"%PDF" == (tmp_path / "fapiao.pdf").read_bytes()

    @pytest.mark.parametrize("end", ["", "/", "/none/"], ids=["directory", "slash", "missing"])
    def test_directory_is_refused(self, sandbox, offer, download, tmp_path, end):
        """The response names no file: the caller has to."""
        with pytest.raises(InvalidRequestError, match=r"to: .* is a directory: give a file"):
            download(offer(b"x"), f"{tmp_path}{end}")
        assert not sandbox.requests
        assert not leftovers(tmp_path)

    def test_signed_response_may_be_given_itself(self, sandbox, instance, tmp_path):
        """Any response that names a file is enough."""
        response = instance.v3.bill.tradebill.get(query={"bill_date": "2023-11-15", "tar_type": "GZIP"})
        path = bills.download(instance, response, tmp_path / "bill.csv")
        assert 3 == len(list(bills.read(path)))

    @pytest.mark.parametrize("signed", [{}, {"state": "GENERATING"}, [], "text"])
    def test_what_names_no_file_is_an_error(self, download, signed):
        """A receipt that is still being made has no URL."""
        with pytest.raises(InvalidRequestError, match="signed"):
            download(signed, "file")

    @pytest.mark.parametrize(
        ("key", "nonce", "words"),
        [
            (b"short", "123456789012", "AES-256 has 32 bytes and SM4 has 16, not 5"),
            (b"0" * 32, "", "nonce: GCM needs 12 bytes, got 0"),
        ],
    )
    def test_key_of_another_size_is_refused(self, sandbox, instance, offer, tmp_path, key, nonce, words):
        """What decrypts to something else than a key is an error, and nothing is downloaded."""
        padding = OAEP(MGF1(SHA1()), SHA1(), None)
        sealed = sandbox.identity.private_key.public_key().encrypt(key, padding)
        part = {**offer(b"file"), "encrypt_key": b64encode(sealed).decode(), "nonce": nonce}
        with pytest.raises(CryptoError, match=words):
            bills.download(instance, part, tmp_path / "bill.csv")
        assert not sandbox.requests

    @pytest.mark.parametrize("private_key", ["SM2", "function"])
    def test_key_that_cannot_be_decrypted_is_an_error(self, sandbox, offer, tmp_path, private_key):
        """For SM2 keys its form is not documented, and a function signs only: nothing is downloaded."""
        settings = sandbox.settings()
        if private_key == "SM2":
            settings |= {"private_key": smkeys.private_pem(), "certs": {"PUB_KEY_ID_1": smkeys.public_pem()}}
        else:
            settings["private_key"] = lambda _: ""
        part = {**offer(b"file"), "encrypt_key": "AAAA", "nonce": "123456789012"}
        with (
            Builder(**settings) as instance,
            pytest.raises(ConfigurationError, match="private_key: the bill is encrypted"),
        ):
            bills.download(instance, part, tmp_path / "bill.csv")
        assert not sandbox.requests

    def test_unreachable_host_is_a_transport_error(self, sandbox, clock, tmp_path):
        """The connection of the URL is as any other."""
        with (
            Builder(**sandbox.settings(base_uri="http://127.0.0.1:9/")) as instance,
            pytest.raises(ConnectError),
        ):
            bills.fetch(instance, "trade", DAY, tmp_path, pause=0, clock=clock)
        assert not leftovers(tmp_path)


def test_saved_gzip_file_reads_the_same(tmp_path):
    """A file that somebody else downloaded packed is read as it is."""
    path = tmp_path / "bill.csv.gz"
    path.write_bytes(gzip.compress(encode(ALL)))
    assert 2 == len(list(bills.read(path)))
