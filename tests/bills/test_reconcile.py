"""A bill and the merchant's books are compared row by row, whatever their size."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
import tempfile
import tracemalloc
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import pytest
from bill_samples import ALL, FUND, STATEMENT, encode, trade
from hypothesis import given, settings
from hypothesis import strategies as st

from wechatpay import InvalidRequestError, bills
from wechatpay.bills import books

CHINA = dt.timezone(dt.timedelta(hours=8))
PAYMENT = {"transaction_id": "4200009990202603020000000001", "out_trade_no": "A20260302-1", "amount": 10000}
REFUND = {"refund_id": "50300009992026030200000000001", "out_refund_no": "R20260302-1", "amount": 5000}
DAY = dt.date(2026, 3, 2)


def compare(ours, text=ALL, **options):
    """Compare, and give outcomes and the comparison."""
    found = bills.reconcile(bills.read(encode(text)), ours, **options)
    return [finding.outcome for finding in found], found


def at(clock, day=2):
    """Give a time of the day of the bill, or of its neighbours."""
    return dt.datetime.fromisoformat(f"2026-03-{day:02}T{clock}+08:00")


class TestOutcomes:
    """What may come of a row."""

    def test_everything_may_match(self):
        """Matches are counted and summed, and yielded only if they are asked for."""
        outcomes, found = compare([PAYMENT, REFUND])

        assert [] == outcomes
        assert found.is_clean
        assert {"count": 2, "fen": 15_000} == found.summary()["matched"]
        assert ["matched", "matched"] == compare([PAYMENT, REFUND], matched=True)[0]

    @pytest.mark.parametrize("names", [("transaction_id", "refund_id"), ("out_trade_no", "out_refund_no")])
    def test_either_number_is_enough(self, names):
        """WeChat Pay's, or the merchant's."""
        payment, refund = names
        ours = [
            {payment: PAYMENT[payment], "amount": 10000},
            {refund: REFUND[refund], "amount": Decimal("50.00")},
        ]

        assert [] == compare(ours)[0]

    def test_payment_that_our_books_lack_is_found(self):
        """The notification was lost: the row's numbers and line are there, and what to do."""
        outcomes, found = compare([REFUND], matched=False)
        assert ["missing_here"] == outcomes
        finding = next(bills.reconcile(bills.read(encode(ALL)), [REFUND]))

        assert ("A20260302-1", 10_000, 2, 0) == (
            finding.out_trade_no,
            finding.amount,
            finding.line,
            finding.entry,
        )
        assert "query" in finding.advice
        assert not found.is_clean

    def test_payment_that_the_bill_lacks_is_found(self):
        """A false booking, or another day's: the entry's position is there."""
        other = {"out_trade_no": "B1", "amount": 7}
        (finding,) = bills.reconcile(bills.read(encode(ALL)), [PAYMENT, other, REFUND])

        assert ("missing_there", "B1", 7, 0, 2) == (
            finding.outcome,
            finding.out_trade_no,
            finding.amount,
            finding.line,
            finding.entry,
        )

    @pytest.mark.parametrize(
        ("change", "outcome", "theirs", "ours"),
        [
            ({"amount": 9999}, "amount_differs", "10000", "9999"),
            ({"amount": Decimal("100.01")}, "amount_differs", "10000", "10001"),
            ({"fee": 58}, "fee_differs", "0.59", "0.58"),
            ({"state": "NOTPAY"}, "state_differs", "SUCCESS", "NOTPAY"),
            ({"trade_state": "closed"}, "state_differs", "SUCCESS", "CLOSED"),
            ({"state": "REVOKED"}, "state_differs", "SUCCESS", "REVOKED"),
            ({"status": "NOTPAY", "refund_status": "SUCCESS"}, "state_differs", "SUCCESS", "NOTPAY"),
            ({"transaction_id": "4200"}, "number_differs", PAYMENT["transaction_id"], "4200"),
            ({"out_trade_no": "B1"}, "number_differs", PAYMENT["out_trade_no"], "B1"),
        ],
    )
    def test_difference_of_a_payment_is_found(self, change, outcome, theirs, ours):
        """What the bill says and what the books say are there."""
        found = list(bills.reconcile(bills.read(encode(ALL)), [{**PAYMENT, **change}, REFUND]))

        assert [(outcome, theirs, ours)] == [(each.outcome, each.theirs, each.ours) for each in found]

    @pytest.mark.parametrize(
        ("change", "outcome"),
        [
            ({"amount": 4999}, "amount_differs"),
            ({"fee": 29}, "fee_differs"),
            ({"state": "PROCESSING"}, "state_differs"),
            ({"state": "ABNORMAL"}, "state_differs"),
            ({"refund_id": "503"}, "number_differs"),
        ],
    )
    def test_difference_of_a_refund_is_found(self, change, outcome):
        """Fees of refunds are negative."""
        assert [outcome] == compare([PAYMENT, {**REFUND, **change}])[0]

    @pytest.mark.parametrize(
        "change",
        [
            {"fee": 59},
            {"fee": Decimal("0.59")},
            {"fee": None},
            {"state": "REFUND"},
            {"state": " success"},
            {"state": "PAY_BACK"},
            {"trade_state": "SUCCESS", "refund_status": "PROCESSING"},
        ],
    )
    def test_what_agrees_is_no_difference(self, change):
        """Fees in fen or yuan; a refunded order was paid; its own state counts before its refund's."""
        assert [] == compare([{**PAYMENT, **change}, {**REFUND, "fee": -29, "state": "SUCCESS"}])[0]

    @pytest.mark.parametrize(
        ("theirs", "ours", "outcomes"),
        [
            ("FAIL", "CLOSED", []),
            ("CHANGE", "ABNORMAL", []),
            ("PROCESSING", "SUCCESS", []),
            ("PROCESSING", "ABNORMAL", []),
            ("CHANGE", "SUCCESS", ["state_differs"]),
            ("FAIL", "REFUNDCLOSE", []),
            ("SUCCESS", "REFUND", []),
            ("FAIL", "REFUND", ["state_differs"]),
        ],
    )
    def test_states_of_refunds_are_translated(self, theirs, ours, outcomes):
        """A bill has words of its own, and PROCESSING in it was decided since."""
        text = ALL.replace("`ORIGINAL,`SUCCESS", f"`ORIGINAL,`{theirs}")
        assert outcomes == compare([PAYMENT, {**REFUND, "state": ours}], text)[0]

    def test_fee_with_more_decimals_is_rounded(self):
        """A bill may have 0.58800 where the books have 59 fen."""
        text = trade({"手续费": "0.58800"})
        assert [] == compare([{**PAYMENT, "transaction_id": "", "fee": 59}], text)[0]
        assert ["fee_differs"] == compare([{**PAYMENT, "transaction_id": "", "fee": 58}], text)[0]

    def test_refund_of_an_unknown_order_stands_out(self):
        """A refund that the books lack is worse if they lack its order, too."""
        refund = "\n".join(ALL.splitlines()[:1] + ALL.splitlines()[2:]) + "\n"
        refund = refund.replace("`2,`98.00", "`1,`0.00").replace("`0.30,`100.00", "`-0.29,`0.00")

        assert ["refund_without_order"] == compare([], refund)[0]
        assert ["missing_here", "missing_there"] == compare([PAYMENT], refund)[0]

    def test_entry_that_is_there_twice_is_found(self):
        """Twice in the books, or twice in the bill."""
        assert ["duplicate"] == compare([PAYMENT, REFUND, PAYMENT])[0]
        row = {"微信订单号": PAYMENT["transaction_id"]}
        assert ["duplicate"] == compare([PAYMENT], trade(row, row))[0]

    @pytest.mark.parametrize(
        "entry", [{"state": "NOTPAY"}, {"state": "CLOSED"}, {"out_refund_no": "R", "state": "CLOSED"}]
    )
    def test_entry_that_no_bill_has_is_skipped(self, entry):
        """Unpaid orders and closed refunds are in no bill."""
        outcomes, found = compare([PAYMENT, REFUND, {"out_trade_no": "B1", "amount": 1, **entry}])

        assert [] == outcomes
        assert 1 == found.summary()["skipped"]


#: Rows of an order that was reversed: its reversal has the number of a refund, or none.
PAID = {"微信订单号": PAYMENT["transaction_id"], "商户订单号": PAYMENT["out_trade_no"]}
REFUNDED = {"订单金额": "0.00", "应结订单金额": "0.00", "申请退款金额": "100.00", "退款金额": "98.00"}
REVERSED = {
    "with a number": {
        **PAID,
        **REFUNDED,
        "交易状态": "REVOKED",
        "微信退款单号": "503",
        "退款状态": "SUCCESS",
    },
    "without a number": {**PAID, "交易状态": "REVOKED"},
}


@pytest.mark.parametrize("reversal", REVERSED.values(), ids=REVERSED)
class TestReversals:
    """Code payments that were reversed."""

    OURS: ClassVar = {**PAYMENT, "state": "REVOKED"}

    def test_payment_and_its_reversal_are_one_match(self, reversal):
        """In whatever order they come."""
        for rows in ([PAID, reversal], [reversal, PAID]):
            outcomes, found = compare([self.OURS], trade(*rows), matched=True)
            assert ["matched"] == outcomes
            assert {"count": 1, "fen": 10_000} == found.summary()["matched"]
            assert 1 == found.amounts_compared

    def test_reversal_alone_matches(self, reversal):
        """The payment may be another day's."""
        assert ["matched"] == compare([self.OURS], trade(reversal), matched=True)[0]

    def test_amount_is_that_of_the_payment(self, reversal):
        """A part may have been refunded before the rest was reversed."""
        reversal = {**reversal, "申请退款金额": "70.00"}
        assert [] == compare([self.OURS], trade(PAID, reversal))[0]
        assert ["amount_differs"] == compare([{**self.OURS, "amount": 1}], trade(PAID, reversal))[0]

    def test_reversal_alone_may_return_a_part(self, reversal):
        """The rest may have been refunded before, and the fee is that of another row."""
        reversal = {**reversal, "申请退款金额": "70.00", "订单金额": "70.00", "手续费": "-0.42"}
        assert ["matched"] == compare([{**self.OURS, "fee": 59}], trade(reversal), matched=True)[0]
        assert ["amount_differs"] == compare([{**self.OURS, "amount": 6999}], trade(reversal))[0]
        nothing = {**reversal, "申请退款金额": "0.00", "订单金额": "0.00"}
        assert ["amount_differs"] == compare([self.OURS], trade(nothing))[0]

    @pytest.mark.parametrize(("state", "shown"), [("SUCCESS", "SUCCESS"), ("", ""), ("NOTPAY", "NOTPAY")])
    def test_reversal_that_our_books_do_not_know_is_found(self, reversal, state, shown):
        """Otherwise the delivery would go on though the money was returned; books without states, too."""
        ours = [{**PAYMENT, "state": state}]
        for rows in ([PAID, reversal], [reversal]):
            *_, finding = bills.reconcile(bills.read(encode(trade(*rows))), ours)
            assert ("state_differs", "REVOKED", shown) == (finding.outcome, finding.theirs, finding.ours)
        assert ["missing_here"] * 2 == compare([], trade(PAID, reversal))[0]

    def test_bill_matches_itself(self, reversal):
        """Its rows are books, too."""
        text = encode(trade(PAID, reversal))
        assert bills.reconcile(bills.read(text), list(bills.read(text))).summary()["is_clean"]

    def test_what_comes_twice_is_found(self, reversal):
        """In the bill, or in the books."""
        assert ["duplicate"] == compare([self.OURS], trade(PAID, reversal, reversal))[0]
        assert ["duplicate"] == compare([self.OURS], trade(PAID, PAID, reversal))[0]
        assert ["duplicate"] == compare([self.OURS, self.OURS], trade(PAID, reversal))[0]
        assert ["duplicate"] == compare([self.OURS, self.OURS], trade(reversal, PAID))[0]
        assert ["state_differs"] * 2 == compare([self.OURS, self.OURS], trade(PAID, PAID))[0]


@pytest.mark.parametrize("day", [None, DAY])
def test_order_that_was_reversed_before_it_was_paid_is_in_no_bill(day):
    """It is skipped, as a closed one."""
    ours = {"out_trade_no": "B1", "amount": 1, "state": "REVOKED", "time": at("12:00:00")}
    outcomes, found = compare([PAYMENT, REFUND, ours], day=day)

    assert [] == outcomes
    assert 1 == found.skipped


def test_reversal_of_an_unknown_order_stands_out():
    """The books have neither."""
    assert ["missing_here"] == compare([], trade(REVERSED["with a number"]))[0]


class TestDays:
    """Books that hold more than the days of the bill."""

    @pytest.mark.parametrize(
        ("time", "outcome"),
        [
            (at("12:00:00"), ["missing_there"]),
            (at("00:09:59"), ["across_midnight"]),
            (at("23:50:00"), ["across_midnight"]),
            (at("00:10:00"), ["missing_there"]),
            (at("23:59:59", 1), []),
            (at("00:00:00", 3), []),
            (at("00:00:00", 3).astimezone(dt.UTC).isoformat(), []),
            (None, ["missing_there"]),
        ],
    )
    def test_entry_is_expected_on_its_own_day(self, time, outcome):
        """Near midnight it may be in the neighbouring bill; on other days it is not expected."""
        outcomes, _ = compare([PAYMENT, REFUND, {"out_trade_no": "B1", "amount": 1, "time": time}], day=DAY)

        assert outcome == outcomes

    def test_payment_across_midnight_matches_all_the_same(self):
        """WeChat Pay's clock said today, ours yesterday."""
        assert [] == compare([{**PAYMENT, "time": at("23:59:59", 1)}, REFUND], day=DAY)[0]

    def test_several_days_are_one_comparison(self):
        """Bills of several days, one after the other, against books of all of them."""
        other = {"交易时间": "2026-03-03 00:00:01", "微信订单号": "42", "商户订单号": "B1"}
        rows = [*bills.read(encode(ALL)), *bills.read(encode(trade(other)))]
        ours = [PAYMENT, REFUND, {"out_trade_no": "B1", "amount": 10000, "time": at("23:59:59")}]
        found = bills.reconcile(rows, ours, day=(DAY, dt.date(2026, 3, 3)))

        assert {"count": 3, "fen": 25_000} == found.summary()["matched"]
        assert found.is_clean

    @pytest.mark.parametrize(
        ("day", "words"),
        [
            (dt.date(2026, 3, 3), "line 2 of the bill is of 2026-03-02, and the days given are 2026-03-03: "),
            ("2026-03-01", "line 2 of the bill is of 2026-03-02, and the days given are 2026-03-01: give"),
            (("2026-03-03", "2026-03-05"), "the days given are 2026-03-03 to 2026-03-05: give those of"),
            (
                (dt.date(2026, 3, 3), dt.date(2026, 3, 1)),
                "the last day, 2026-03-01, is before the first, 2026-",
            ),
            ("2026-02-30", "'2026-02-30' is not a day: give YYYY-MM-DD"),
            (at("12:00:00"), "give a date or YYYY-MM-DD, not datetime"),
            (20260302, "give a date or YYYY-MM-DD, or a tuple of the first and the last, not 20260302"),
            (["2026-03-02"] * 2, r"or a tuple of the first and the last, not \['2026-03-02', '2026-03-02'\]"),
            ((DAY, DAY, DAY), r"or a tuple of the first and the last, not \(datetime.date\(2026, 3, 2\), "),
            ((DAY, None), "give a date or YYYY-MM-DD, not NoneType"),
        ],
    )
    def test_wrong_day_is_refused(self, day, words):
        """A payment that is missing would not be expected on it, and the comparison would be clean."""
        missing = {"out_trade_no": "A9", "amount": 1, "time": at("12:00:00")}
        with pytest.raises(InvalidRequestError, match=f"^day: .*{words}"):
            compare([PAYMENT, REFUND, missing], day=day)

    @pytest.mark.parametrize("day", ["2026-03-02", ("2026-03-01", "2026-03-02"), ("2026-03-02", DAY)])
    def test_day_may_be_text(self, day):
        """ISO 8601, as `fetch` takes it."""
        missing = {"out_trade_no": "A9", "amount": 1, "time": at("12:00:00")}
        assert ["missing_there"] == compare([PAYMENT, REFUND, missing], day=day)[0]

    @pytest.mark.parametrize(
        ("time", "is_near"),
        [("2026-03-01 23:50:00", 1), ("2026-03-03 00:09:59", 1), ("2026-03-01 23:49:59", 0), ("", 1)],
    )
    def test_row_near_midnight_may_be_of_the_next_day(self, time, is_near):
        """Within the margin; a row without a time is not checked."""
        text = trade({}, {"交易时间": time, "微信订单号": "42", "商户订单号": "B1"})
        ours = [PAYMENT, {"out_trade_no": "B1", "amount": 10000}]
        if is_near:
            assert [] == compare(ours, text, day=DAY)[0]
        else:
            with pytest.raises(InvalidRequestError, match="line 3 of the bill is of 2026-03-01"):
                compare(ours, text, day=DAY)


class TestBooks:
    """What the books may be."""

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            (
                "ours.csv",
                (
                    "out_trade_no,out_refund_no,amount_fen,fee_yuan,state,time\n"
                    "A20260302-1,,10000,0.59,SUCCESS,2026-03-02T10:15:09+08:00\n"
                    ",R20260302-1,5000,-0.29,,\n"
                ),
            ),
            (
                "ours.csv",
                (
                    "\ufefftransaction_id,refund_id,amount_yuan\n4200009990202603020000000001,,100.00\n"
                    ",50300009992026030200000000001,50\n"
                ),
            ),
            (
                "ours.jsonl",
                (
                    '{"out_trade_no": "A20260302-1", "amount": 10000}\n\n'
                    '{"out_refund_no": "R20260302-1", "amount": 50.00}\n'
                ),
            ),
        ],
        ids=["CSV", "CSV in yuan", "JSON"],
    )
    @pytest.mark.parametrize("kind", [str, Path])
    def test_files_are_read(self, tmp_path, name, text, kind):
        """CSV says fen or yuan in the name of the column; JSON has int fen, or decimals of yuan."""
        path = tmp_path / name
        path.write_text(text, "utf-8")

        assert [] == compare(kind(path))[0]

    def test_fee_that_is_left_empty_is_not_compared(self, tmp_path):
        """Cells may be empty, or missing at the end of a line; the other unit may be given instead."""
        path = tmp_path / "ours.csv"
        path.write_text(
            "out_trade_no,out_refund_no,amount_fen,amount_yuan,fee_fen,fee_yuan\n"
            "A20260302-1,,,100.00,,0.59\n,R20260302-1,5000\n"
        )

        assert [] == compare(path)[0]

    def test_every_entry_may_have_members_of_its_own(self):
        """Members that are not known do not matter, however many there are."""
        ours = [{"out_trade_no": f"B{n}", f"note {n}": "", "amount": 1} for n in range(100)]

        assert ["missing_there"] * 100 == compare([PAYMENT, REFUND, *ours])[0]

    def test_bills_are_books(self, tmp_path):
        """Rows of another bill, and what `to_csv` wrote, can be compared."""
        assert [] == compare(bills.read(encode(ALL)))[0]
        bills.to_csv(bills.read(encode(ALL)), tmp_path / "ours.csv")
        assert [] == compare(tmp_path / "ours.csv")[0]

    def test_statement_is_compared(self):
        """An overseas statement has orders, too."""
        assert [] == compare([{"out_trade_no": "HK-1", "amount": 100_00, "fee": 80}], STATEMENT)[0]

    @pytest.mark.parametrize(
        ("entry", "words"),
        [
            ({"amount": 1}, "entry 2: has no number"),
            ({"out_trade_no": "A", "amount": 1.5}, "entry 2: amount: give an int of fen or a Decimal"),
            ({"out_trade_no": "A", "amount": "100"}, "amount_fen or amount_yuan"),
            ({"out_trade_no": "A", "amount": True}, "amount: give an int"),
            ({"out_trade_no": "A", "amount": Decimal("Infinity")}, "amount: give an int"),
            ({"out_trade_no": "A", "amount": Decimal("0.001")}, "not a whole number of fen"),
            ({"out_trade_no": "A", "amount_fen": "1.5"}, "not a whole number of fen"),
            ({"out_trade_no": "A", "amount_fen": "x"}, "not an amount"),
            ({"out_trade_no": "A", "amount_fen": 1.0}, "amount_fen: give an int"),
            ({"out_trade_no": "A", "total": "5"}, "total: give an int of fen .* amount_fen or amount_yuan"),
            ({"out_trade_no": "A", "amount": 1, "time": "2026-03-02 10:00:00"}, "time: give"),
            ({"out_trade_no": "A", "amount": 1, "time": "yesterday"}, "isoformat"),
            ({"out_trade_no": "A", "amount": 1, "time": 5}, "time: give"),
            (
                {"out_refund_no": "R", "out_trade_no": "A\x1f1", "amount": 1},
                "entry 2: has a control character",
            ),
            ({"out_trade_no": "\ud800", "amount": 1}, "a text is not Unicode"),
            (["A"], "entry 2 is list"),
        ],
    )
    def test_unclear_entry_is_refused(self, entry, words):
        """The error says which entry and why, before anything is compared."""
        with pytest.raises(InvalidRequestError, match=words):
            compare([PAYMENT, entry])

    @pytest.mark.parametrize(
        "word", ["UNPAID", "unpaid", "FAILED", "CANCELLED", "未支付", "paid", "0", 0, False]
    )
    @pytest.mark.parametrize("name", ["state", "refund_status", "trade_state", "status"])
    def test_unknown_word_for_a_state_is_refused(self, name, word):
        """It may mean unpaid: the error names the entry, the member and the words that are accepted."""
        words = (
            f"ours: entry 2: {name}: {word!r} is not a state of a payment; give ACCEPT, ACCEPTED, CLOSED, "
            "NOTPAY, PAYERROR, PAY_BACK, PAY_FAIL, PENDING, REFUND, REVOKED, SUCCESS, USERPAYING, or leave "
            "it empty"
        )
        with pytest.raises(InvalidRequestError, match=re.escape(words)):
            compare([REFUND, {**PAYMENT, name: word}])

    def test_refund_has_words_of_its_own(self):
        """An order's state that no refund has is refused."""
        with pytest.raises(InvalidRequestError, match="'NOTPAY' is not a state of a refund; give ABNORMAL, "):
            compare([PAYMENT, {**REFUND, "state": "NOTPAY"}])

    @pytest.mark.parametrize("empty", ["", " ", None])
    def test_state_that_is_left_empty_is_not_compared(self, empty):
        """The next name that is not empty counts, else none."""
        assert [] == compare([{**PAYMENT, "state": empty}, REFUND])[0]
        assert ["state_differs"] == compare([{**PAYMENT, "state": empty, "status": "NOTPAY"}, REFUND])[0]

    def test_every_word_for_a_state_is_documented(self):
        """The table of the page on bills lists exactly these."""
        page = Path(__file__).parents[2] / "docs" / "bills.md"
        (table,) = re.findall(r"\| entry \|.*?\n\n", page.read_text("utf-8"), re.DOTALL)
        rows = [re.findall(r"`(\w+)`", line) for line in table.strip().splitlines()[2:]]
        paid, reversed_, unpaid, refunded, failed = map(set, rows)

        assert set(books._PAYMENT_WORDS) == paid | reversed_ | unpaid
        assert set(books.UNPAID) == unpaid
        assert set(books._REFUND_WORDS) == refunded | failed
        assert set(books.NOT_REFUNDED) == failed

    @pytest.mark.parametrize(("name", "text"), [("a.jsonl", "{"), ("a.csv", 'a,b\n"x')])
    def test_unreadable_file_is_refused(self, tmp_path, name, text):
        """A file that is no CSV or JSON is named."""
        (tmp_path / name).write_text(text)
        with pytest.raises(InvalidRequestError, match=rf"{name} cannot be read"):
            compare(tmp_path / name)

    @pytest.mark.parametrize(
        ("name", "advice"), [("ours.csv", "save it as 'CSV UTF-8' "), ("ours.jsonl", "save it as UTF-8$")]
    )
    def test_books_in_gbk_are_refused_with_advice(self, tmp_path, name, advice):
        """A spreadsheet of a Chinese Windows writes them unless it is told not to."""
        (tmp_path / name).write_bytes("out_trade_no,amount_fen,商品\nA1,5,奶茶\n".encode("gbk"))
        with pytest.raises(InvalidRequestError, match=f"{name} is not UTF-8: {advice}"):
            compare(tmp_path / name)

    def test_other_bills_have_no_orders(self):
        """A fund bill cannot be compared with orders."""
        with pytest.raises(InvalidRequestError, match="kind 'fund' has no orders"):
            compare([], FUND)


class TestAmounts:
    """No comparison is clean because an amount was not found."""

    @pytest.mark.parametrize(
        ("header", "hint"),
        [
            ("Amount_Fen", "; did you mean amount_fen?"),
            ("amount fen", "; did you mean amount_fen?"),
            ("amount_cents", "; did you mean amount_fen?"),
            ("Amount", "expected amount_fen or amount_yuan; to compare"),
            ("price_fen", "expected amount_fen or amount_yuan; to compare"),
            ("", "expected amount_fen or amount_yuan; to compare"),
        ],
    )
    def test_column_with_an_unknown_name_is_refused(self, tmp_path, header, hint):
        """The error names the columns that were found, the ones expected, and the closest one."""
        path = tmp_path / "ours.csv"
        path.write_text(f"out_trade_no,{header}\nA20260302-1,5\n")
        with pytest.raises(InvalidRequestError) as caught:
            compare(path)

        assert f"entry 1: has no amount: found out_trade_no, {header}" in str(caught.value)
        assert "expected amount_fen or amount_yuan" in str(caught.value)
        assert hint in str(caught.value)
        assert "require_amounts=False" in str(caught.value)

    @pytest.mark.parametrize("name", ["amont", "Amount", " amount "])
    def test_member_with_an_unknown_name_is_refused(self, name):
        """In a mapping the plain name is known, too."""
        with pytest.raises(InvalidRequestError, match=r"expected amount, .*; did you mean amount\?"):
            compare([{"out_trade_no": "A20260302-1", name: 5}])

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (
                "Out_Trade_No,amount_fen\nA,5\n",
                "found Out_Trade_No, .*; did you mean out_trade_no",
            ),
            (
                "out_trade_no;amount_fen\nA;5\n",
                "found out_trade_no;amount_fen; expected transaction_id",
            ),
            ("out_trade_no,amount_fen\n,5\n", "entry 1: has no number: out_trade_no is empty$"),
        ],
    )
    def test_missing_number_is_explained_in_the_same_way(self, tmp_path, text, words):
        """Another separator, or another name."""
        path = tmp_path / "ours.csv"
        path.write_text(text)
        with pytest.raises(InvalidRequestError, match=words):
            compare(path)

    def test_only_a_few_of_many_names_are_shown(self):
        """A row without a header would be shown whole otherwise."""
        with pytest.raises(InvalidRequestError, match=r"found out_trade_no, n0, .*, n6 …;"):
            compare([{"out_trade_no": "A", **{f"n{n}": n for n in range(50)}}])

    def test_blanks_around_names_and_cells_do_not_count(self, tmp_path):
        """People write a blank after a comma."""
        path = tmp_path / "ours.csv"
        path.write_text(
            "out_trade_no, out_refund_no , amount_fen, amount_yuan\n"
            "A20260302-1, , 10000,\n, R20260302-1, , 50.01\n"
        )

        assert ["amount_differs"] == compare(path)[0]

    def test_name_that_comes_twice_is_refused(self, tmp_path):
        """It is not clear which of the two columns counts."""
        path = tmp_path / "ours.csv"
        path.write_text("out_trade_no,amount_fen, amount_fen\nA20260302-1,10000,5\n")
        with pytest.raises(InvalidRequestError, match="the column amount_fen comes twice"):
            compare(path)

    @pytest.mark.parametrize("empty", ["", " ", None])
    @pytest.mark.parametrize("name", ["amount", "amount_fen", "amount_yuan"])
    def test_empty_amount_is_refused(self, name, empty):
        """The error says which entry has none."""
        with pytest.raises(InvalidRequestError, match=f"entry 2: has no amount: {name} is empty"):
            compare([PAYMENT, {"out_refund_no": "R20260302-1", name: empty}])

    def test_empty_amounts_are_all_named(self):
        """Either of them would do."""
        with pytest.raises(InvalidRequestError, match="no amount: amount_fen and amount_yuan are empty"):
            compare([{"out_trade_no": "A", "amount_fen": "", "amount_yuan": ""}])

    def test_order_total_is_not_the_amount_of_a_refund(self):
        """A refund of a part would differ from it."""
        with pytest.raises(InvalidRequestError, match=r"no amount: found out_refund_no, total_fen; expected"):
            compare([{"out_refund_no": "R20260302-1", "total_fen": 10000}])

    @pytest.mark.parametrize(
        ("amounts", "words"),
        [
            ({"amount_fen": 101, "amount_yuan": "0.05"}, "amount_fen is 1.01 yuan, and amount_yuan is 0.05"),
            ({"amount": Decimal("1.01"), "total_fen": "5"}, "total_fen is 0.05 yuan, and amount is 1.01"),
            ({"amount": 101, "fee_fen": 59, "fee_yuan": "0.5"}, "fee_fen is 0.59 yuan, and fee_yuan is 0.5"),
        ],
    )
    def test_amounts_that_contradict_each_other_are_refused(self, amounts, words):
        """Neither of them wins."""
        with pytest.raises(InvalidRequestError, match=f"entry 1: {words} yuan: give one of them"):
            compare([{"out_trade_no": "A20260302-1", **amounts}])

    def test_amounts_that_agree_are_compared(self):
        """Fen and yuan of the same amount; a currency without cents counts whole units."""
        ours = {**PAYMENT, "amount_fen": "10000", "amount_yuan": "100.0", "fee_fen": 59, "fee_yuan": "0.59"}
        assert [] == compare([ours, REFUND])[0]
        yen = STATEMENT.replace("HKD", "JPY").replace("`100.00", "`100").replace("`0.80,", "`1,")
        assert [] == compare(bills.read(encode(yen)), yen)[0]
        assert [] == compare([{"out_trade_no": "HK-1", "amount": Decimal(100), "currency": "JPY"}], yen)[0]

    def test_books_without_amounts_are_compared_if_asked_for(self):
        """The summary says how many amounts were compared."""
        ours = [{"out_trade_no": "A20260302-1", "amont": 5}, {"out_refund_no": "R20260302-1", "amount": 5000}]
        outcomes, found = compare(ours, require_amounts=False)

        assert [] == outcomes
        assert {"is_clean": True, "amounts_compared": 1, "skipped": 0}.items() <= found.summary().items()
        assert 2 == compare([PAYMENT, {**REFUND, "amount": 1}])[1].summary()["amounts_compared"]

    def test_every_name_that_counts_is_documented(self):
        """The table of the page on bills lists exactly these."""
        page = Path(__file__).parents[2] / "docs" / "bills.md"
        (table,) = re.findall(r"\| member \|.*?\n\n", page.read_text("utf-8"), re.DOTALL)
        cells = [line.split("|")[1] for line in table.strip().splitlines()[2:]]

        assert sorted(books.NAMES) == sorted(re.findall(r"`(\w+)`", " ".join(cells)))


class TestOutput:
    """Findings as files."""

    def test_findings_are_lines_of_json(self):
        """The last one is the summary."""
        file = io.StringIO()
        bills.reconcile(bills.read(encode(ALL)), [PAYMENT, {"out_trade_no": "B1", "amount": 1}]).to_json(file)
        first, second, last = map(json.loads, file.getvalue().splitlines())

        assert ("missing_here", True, 5000) == (first["outcome"], first["is_refund"], first["amount"])
        assert ("missing_there", "B1") == (second["outcome"], second["out_trade_no"])
        assert {"count": 1, "fen": 10_000} == last["summary"]["matched"]
        assert last["summary"]["is_clean"] is False

    def test_findings_are_csv(self, tmp_path):
        """A header, and a line for each."""
        path = tmp_path / "findings.csv"
        bills.reconcile(bills.read(encode(ALL)), [REFUND], matched=True).to_csv(path)
        rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))

        assert ["missing_here", "matched"] == [row["outcome"] for row in rows]
        assert ["2", "3"] == [row["line"] for row in rows]

    def test_index_is_removed(self, tmp_path, monkeypatch):
        """At the end, at the end of ``with``, after a damaged bill, and after unclear books."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        compare([PAYMENT])
        with bills.reconcile(bills.read(encode(ALL)), []) as found:
            next(found)
            assert list(tmp_path.iterdir())
        assert not list(tmp_path.iterdir())
        with pytest.raises(bills.BillFormatError):
            compare([], ALL.replace("`2,`98.00", "`3,`98.00"))
        with pytest.raises(InvalidRequestError):
            compare([{}])
        assert not list(tmp_path.iterdir())


def peak(count):
    """Compare so many rows with as many entries, and give the peak of the memory."""
    text = encode(trade(*[{"商户订单号": f"A{n}", "微信订单号": f"42{n}"} for n in range(count)]))
    ours = ({"out_trade_no": f"A{n}", "amount": 10_000} for n in range(count, 0, -1))
    tracemalloc.start()
    try:
        with bills.reconcile(bills.read(text), ours) as found:
            outcomes = [finding.out_trade_no for finding in found]
        memory = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ["A0", f"A{count}"] == outcomes
    return memory


@pytest.mark.no_cover
def test_memory_does_not_grow_with_the_books():
    """Four times the rows and entries take no more memory."""
    few = peak(500)

    assert peak(2_000) < few + 300_000


def test_fetched_bill_knows_its_day(fetch):
    """The books may hold other days' orders."""
    ours = [
        {"out_trade_no": "A1", "amount": 101},
        {"out_trade_no": "A2", "amount": 2000},
        {"out_refund_no": "R1", "amount": 50},
        {"out_trade_no": "A3", "amount": 1, "time": "2023-11-14T12:00:00+08:00"},
        {"out_trade_no": "A4", "amount": 1, "time": "2023-11-15T12:00:00+08:00"},
    ]
    with fetch() as bill:
        assert ["A4"] == [finding.out_trade_no for finding in bills.reconcile(bill, ours)]


@pytest.mark.parametrize("day", [dt.date(2023, 11, 14), ("2023-11-16", "2023-11-17")])
@pytest.mark.parametrize("date", [dt.date(2023, 11, 15), dt.date(2023, 10, 1)], ids=["full", "empty"])
def test_day_of_a_fetched_bill_is_checked(fetch, day, date):
    """Of an empty one, too, which has no rows that show it."""
    with fetch(date=date) as bill:
        assert (date.month == 10) == bill.is_empty
        with pytest.raises(InvalidRequestError, match=f"day: the bill is of {date}, and the days given are"):
            bills.reconcile(bill, [], day=day)
        assert bills.reconcile(bill, [], day=("2023-10-01", "2023-11-15")).summary()


@pytest.mark.parametrize("kind", [iter, list, lambda rows: rows], ids=["iterator", "list", "Rows"])
@pytest.mark.parametrize("check", [True, False])
def test_rows_before_a_damaged_one_are_compared(kind, check):
    """The error says which line, however the rows come and whoever reads the cell."""
    text = trade(*[{"商户订单号": f"A{n}"} for n in range(3)]).split("\n")
    text[2] = text[2].replace("`100.00,", "`x,")
    rows = bills.read(encode("\n".join(text)), check=check)
    seen = []
    with pytest.raises(bills.BillFormatError, match=r"line 3: .*'x' is not an amount"):
        seen.extend(finding.out_trade_no for finding in bills.reconcile(kind(rows), []))

    assert [] == seen if kind is list and check else ["A0"] == seen


NUMBERS = st.sampled_from(["", "1", "2", "3"])
PAIRS = st.lists(
    st.tuples(NUMBERS, NUMBERS, st.integers(1, 2)).filter(lambda each: each[0] or each[1]), max_size=8
)


def expect(rows, ours):
    """Compare in the plainest way: the first entry not taken, by WeChat Pay's number, else by ours."""
    taken, outcomes = set(), []
    for *numbers, amount in rows:
        same = [
            [n for n, each in enumerate(ours) if number and each[i] == number]
            for i, number in enumerate(numbers)
        ]
        left = [n for found in same for n in found if n not in taken]
        if not left:
            outcomes.append("duplicate" if any(same) else "missing_here")
            continue
        taken.add(left[0])
        entry = ours[left[0]]
        outcomes += [
            "number_differs" for mine, theirs in zip(entry, numbers, strict=False) if mine and mine != theirs
        ]
        outcomes += ["amount_differs"] * (entry[2] != amount)
    for n, each in enumerate(ours):
        if n not in taken:
            same = [m for m in taken for i in (0, 1) if each[i] and each[i] == ours[m][i]]
            outcomes.append("duplicate" if same else "missing_there")
    return outcomes


@settings(deadline=None)
@given(rows=PAIRS, ours=PAIRS, apart=st.booleans())
def test_every_comparison_is_as_the_plainest_one(rows, ours, apart):
    """Numbers may be missing or come twice, on either side; rows come together or from bills of their own."""
    cells = [{"微信订单号": one, "商户订单号": two, "订单金额": f"0.0{fen}"} for one, two, fen in rows]
    texts = [trade(each) for each in cells] if apart else [trade(*cells)]
    entries = [{"transaction_id": one, "out_trade_no": two, "amount": fen} for one, two, fen in ours]
    read = [row for text in texts for row in bills.read(encode(text), check=False)]
    found = bills.reconcile(read, entries)

    assert expect(rows, ours) == [finding.outcome for finding in found]
