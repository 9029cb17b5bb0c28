"""Bills of all kinds and ages are read by their headers, in constant memory, and checked."""

from __future__ import annotations

import csv
import gzip
import io
import pickle
import tracemalloc
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from bill_samples import (
    ALL,
    FUND,
    LEGACY,
    OVERSEAS_SHARING,
    REFUND,
    SAMPLES,
    SHARING,
    STATEMENT,
    encode,
    trade,
)
from cases import each

from wechatpay import DecodeError, InvalidRequestError, bills

CHINA = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("name", "kind", "columns", "count"),
    [
        ("all", "trade", 27, 2),
        ("success", "trade", 20, 1),
        ("refund", "trade", 29, 1),
        ("legacy", "trade", 24, 1),
        ("fund", "fund", 11, 3),
        ("sharing", "sharing", 14, 1),
        ("statement", "statement", 38, 1),
        ("overseas-sharing", "overseas-sharing", 17, 1),
    ],
)
def test_every_kind_is_known_by_its_header(name, kind, columns, count):
    """The kind follows from the header, whatever the number of columns."""
    rows = bills.read(encode(SAMPLES[name]))

    assert (kind, columns) == (rows.kind, len(rows.names))
    assert count == len(list(rows))


@each("bom", [True, False], ids=["BOM", "no BOM"])
@each("line_end", ["\r\n", "\n"], ids=["CRLF", "LF"])
@each("last", [True, False], ids=["last line end", "none"])
@each("packed", [True, False], ids=["gzip", "plain"])
def test_layout_of_the_file_makes_no_difference(bom, line_end, last, packed):
    """Byte order mark, line ends and gzip are accepted as they come."""
    text = ALL if last else ALL.rstrip("\n")
    data = encode(text, line_end=line_end, bom=bom)
    if not last:
        data += b"\r" if line_end == "\r\n" else b""
    rows = bills.read(gzip.compress(data) if packed else data)

    assert [100_00, 0] == [row.total_fen for row in rows]
    assert 2 == rows.summary["count"]


def test_payment_has_typed_values():
    """Amounts are decimals and fen, times aware, and numbers of what does not exist empty."""
    payment, refund = bills.read(encode(ALL))

    assert Decimal("100.00") == payment.total
    assert 100_00 == payment.total_fen
    assert datetime(2026, 3, 2, 10, 15, 9, tzinfo=CHINA) == payment.trade_time
    assert "Asia/Shanghai" == str(payment.trade_time.tzinfo)
    assert ("", "", False) == (payment.refund_id, payment.sub_mchid, payment.is_refund)
    assert ("R20260302-1", 50_00, -29, True) == (
        refund.out_refund_no,
        refund.refund_total_fen,
        refund.fee_fen,
        refund.is_refund,
    )
    assert (2, 3) == (payment.line, refund.line)


def test_chinese_names_give_the_text_of_the_file():
    """WeChat Pay's own names are there, with the texts as they stand."""
    payment, _ = bills.read(encode(ALL))

    assert ("100.00", "0") == (payment["订单金额"], payment["微信退款单号"])
    assert "JSAPI" == payment.cells["交易类型"]


def test_columns_are_found_by_name_in_any_order():
    """A bill whose columns come in another order, with new ones between, reads the same."""
    header, *rows, _, _ = SAMPLES["success"].splitlines()
    names = header.split(",")
    cells = rows[0][1:].split(",`")
    mixed = ["新列", *reversed(names)]
    text = ",".join(mixed) + "\n`" + ",`".join(["new", *reversed(cells)])
    row = next(bills.read(encode(text)))

    assert (100_00, "A20260302-1", "new") == (row.total_fen, row.out_trade_no, row["新列"])


@pytest.mark.parametrize(
    ("before", "after"),
    [("收支金额(元)", "收支金额（元）"), ("账户结余(元)", "账户结余（元）"), (",业务名称", "，业务名称")],
    ids=["amount", "balance", "comma"],
)
def test_full_width_punctuation_in_headers_is_read(before, after):
    """APIv2's headers have full-width parentheses, old ones full-width commas."""
    rows = list(bills.read(encode(FUND.replace(before, after))))

    assert [98_00, 59, 48_71] == [row.amount_fen for row in rows]
    assert Decimal("1048.70") == rows[-1].balance


def test_legacy_names_have_the_present_english_ones():
    """A bill of before 2018 can be read by the names of today."""
    rows = bills.read(encode(LEGACY))
    (row,) = rows

    assert (12_50, 12_50, "", Decimal("0.08")) == (
        row.total_fen,
        row.settlement_total_fen,
        row.sub_mchid,
        row.fee,
    )
    assert {"count": 1, "total": Decimal("12.50")}.items() <= rows.summary.items()


@pytest.mark.parametrize(
    "names",
    [
        ("企业红包金额", "企业红包退款金额", "总企业红包退款金额"),
        ("代金券或立减优惠金额", "代金券或立减优惠退款金额", "总代金券或立减优惠退款金额"),
    ],
    ids=["red packets", "coupons"],
)
def test_both_generations_of_legacy_coupons_are_read(names):
    """Older bills call coupons red packets."""
    text = LEGACY
    for old, new in zip(
        ("代金券或立减优惠金额", "代金券或立减优惠退款金额", "总代金券或立减优惠退款金额"), names, strict=True
    ):
        text = text.replace(f",{old},", f",{new},")
    rows = bills.read(encode(text))

    assert [Decimal(0)] == [row.coupon_amount for row in rows]
    assert Decimal(0) == rows.summary["coupon_refund"]


def test_column_that_a_file_lacks_is_none():
    """Names of the kind that this file has no column for are None; others are an error that lists them."""
    (row,) = bills.read(encode(SAMPLES["success"]))

    assert row.refund_total_fen is None
    with pytest.raises(AttributeError, match="out_trade_no"):
        _ = row.out_trade
    with pytest.raises(KeyError):
        _ = row["nothing"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("tea, green", "tea, green"),
        (r"tea\ green", "tea,green"),
        (r"\"tea\"", '"tea"'),
        ('the "best" tea', 'the "best" tea'),
        (r"uncle\'s", "uncle's"),
        (r"a\`b", "a`b"),
        ("a`b", "a`b"),
        (r"a\140b", "a`b"),
        (r"a\nb\rc\td", "a\nb\rc\td"),
        (r"back\\slash\\n", r"back\slash\n"),
        ("two\nlines", "two\nlines"),
        ("two\nlines, and\nthree", "two\nlines, and\nthree"),
        ("\nfirst", "\nfirst"),
        ("茶🍵", "茶🍵"),
    ],
)
def test_product_names_may_hold_anything(written, read):
    """Commas, quotes, backticks and line breaks, escaped or bare, are the product's name."""
    text = trade({"商品名称": "before"}, {"商品名称": written}, {"商品名称": "after"})
    rows = list(bills.read(encode(text)))

    assert ["before", read, "after"] == [row.description for row in rows]
    assert [2, 3, 4 + written.count("\n")] == [row.line for row in rows]


def test_line_break_at_the_end_of_a_block_is_read(monkeypatch):
    """A row may begin in one block of the file and end in the next."""
    text = trade(*[{"商品名称": "two\nlines", "商户订单号": str(number)} for number in range(999)])
    for size in (101, 500, 4096):
        monkeypatch.setattr("wechatpay.bills.format._BLOCK", size)
        rows = list(bills.read(encode(text)))

        assert [(str(number), "two\nlines") for number in range(999)] == [
            (row.out_trade_no, row.description) for row in rows
        ]


def test_fund_bill_escapes_line_breaks_only():
    """A remark keeps its backslashes, and gets its line breaks back."""
    text = FUND.replace("`order,", r"`C:\x\n2,")

    assert "C:\\x\n2" == next(bills.read(encode(text))).remark


@pytest.mark.parametrize(("amount", "fen"), [("45.0", 45_00), ("7", 7_00), ("0.58800", None), ("", None)])
def test_amounts_are_exact_whatever_their_decimals(amount, fen):
    """Fen are there when they are whole; the decimal always is what the file says."""
    text = trade({})
    text = text.replace("`5.00,", f"`{amount},", 1)
    (row,) = bills.read(encode(text))

    assert (Decimal(amount) if amount else None, fen) == (row.coupon_amount, row.coupon_amount_fen)


def test_bill_without_rows_is_empty():
    """A header and a summary of zeros is a bill without rows."""
    rows = bills.read(encode(trade()))

    assert [] == list(rows)
    assert 0 == rows.summary["count"]


def test_overseas_amounts_follow_their_currency():
    """Yen have no smaller unit; each amount has a currency of its own."""
    (row,) = bills.read(encode(STATEMENT.replace("`HKD,`100.00,`CNY", "`JPY,`100.00,`CNY")))

    assert (100, 92_10, 80) == (row.total_fen, row.payer_total_fen, row.fee_fen)


def test_bill_may_lack_columns_that_the_summary_sums_up():
    """A summary of what the rows do not have is read, and not compared."""
    names = [name for name in ALL.splitlines()[0].split(",") if name != "申请退款金额"]
    text = (
        ALL.replace(ALL.splitlines()[0], ",".join(names))
        .replace(",`0.00,`\n", ",`\n")
        .replace(",`50.00,`\n", ",`\n")
    )
    rows = bills.read(encode(text))

    assert [None, None] == [row.refund_total_fen for row in rows]
    assert Decimal("50.00") == rows.summary["refund_total"]


def test_english_statement_has_the_same_names():
    """The English page of the same columns leads to the same English names."""
    header = "Transaction time,Official account ID,Vendor ID,Sub vendor ID,Vendor order number,Total amount"
    (row,) = bills.read(f"{header}\n`2026-03-02 10:15:09,`wx1,`1900000001,`0,`HK-1,`100.00\n".encode())

    assert ("statement", "HK-1", 100_00) == (row.kind, row.out_trade_no, row.total_fen)


@pytest.mark.parametrize("name", ["detaill_id", "detail_id"])
def test_overseas_sharing_bill_is_read_in_both_spellings(name):
    """The misspelt column of the newer pages, and the old one, are the same; times have an offset."""
    (row,) = bills.read(encode(OVERSEAS_SHARING.replace("detaill_id", name)))

    assert "36000009992026030200000000009" == row.detail_id
    assert datetime(2026, 3, 2, 11, tzinfo=CHINA) == row.create_time


def test_old_sharing_bill_may_lack_backticks():
    """Before 2025 some cells of sharing bills had none."""
    text = SHARING.replace("`成功", "成功").replace("`10.00", "10.00").replace("`2026", "2026")

    assert [10_00] == [row.amount_fen for row in bills.read(encode(text))]


def test_undocumented_summary_is_kept_as_it_is():
    """Nobody documents the summary of sharing bills: it is no row, and its texts are there."""
    rows = bills.read(encode(SHARING + "总笔数,总金额\n`1,`10.00\n"))

    assert 1 == len(list(rows))
    assert {"总笔数": "1", "总金额": "10.00"} == rows.summary


class TestDamage:
    """What is wrong is named with its line, and never read over."""

    @pytest.mark.parametrize(
        ("before", "after", "line"),
        [
            ("`CNY,`0.00", "`CNY,`x.00", 3),
            ("`CNY,`98.00", "`CNY,`9_8.00", 2),
            ("`CNY,`98.00", "`CNY,`98.000000001", 2),
            ("`CNY,`0.00", "CNY`0.00", 3),
            ("`CNY,`0.00", "`CNY,`,`0.00", 3),
            ("`2026-03-02 18", "2026-03-02 18", 3),
            ("`2,`98.00", "2", 5),
            ("`2,`98.00", "`x,`98.00", 5),
            ("`0.30,`100.00", "`,`100.00", 5),
            ("`100.00,`50.00\n", "`100.00,`50.00\nmore\n", 6),
        ],
        ids=[
            "amount",
            "digits",
            "decimals",
            "missing separator",
            "one cell more",
            "no backtick",
            "short summary",
            "summary's count",
            "summary's hole",
            "behind the summary",
        ],
    )
    def test_damaged_line_is_an_error_with_its_number(self, before, after, line):
        """The error names the line; the rows before it were good."""
        rows = bills.read(encode(ALL.replace(before, after, 1)))
        good = []
        with pytest.raises(bills.BillFormatError, match=f"^line {line}: ") as caught:
            good.extend(rows)

        assert line == caught.value.line
        assert min(line - 2, 2) == len(good)
        assert "two pots" not in str(caught.value)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("`2,`98.00", "`3,`98.00"),
            ("`2,`98.00", "`2,`98.01"),
            ("`100.00,`50.00\n", "`100.00,`49.99\n"),
            ("`CNY,`98.00", "`CNY,`98.01"),
            ("`-0.29,", "`-0.28,"),
        ],
        ids=["count", "total", "refunds", "a row", "a fee"],
    )
    def test_summary_that_differs_from_the_rows_is_an_error(self, before, after):
        """Counts and sums are compared, each of them; without `check` they are not."""
        data = encode(ALL.replace(before, after, 1))
        with pytest.raises(bills.BillFormatError, match="summary has"):
            list(bills.read(data))

        assert 2 == len(list(bills.read(data, check=False)))

    @pytest.mark.parametrize(
        ("before", "after"),
        [("`3,`1,", "`3,`2,"), ("`98.00,`2", "`98.01,`2"), ("`2,`49.30", "`2,`49.31"), ("收入,", "支出,")],
        ids=["incomes", "income", "expense", "direction"],
    )
    def test_fund_summary_counts_each_direction(self, before, after):
        """Income and expenses are checked apart."""
        with pytest.raises(bills.BillFormatError, match="summary has"):
            list(bills.read(encode(FUND.replace(before, after, 1))))

    def test_rounded_summary_is_accepted(self):
        """Fees have five decimals in rows, and two in the summary."""
        text = trade({"手续费": "0.58800"}, {"手续费": "0.58800"}, 手续费总金额="1.18")
        assert 2 == len(list(bills.read(encode(text))))

        with pytest.raises(bills.BillFormatError, match="fee"):
            list(bills.read(encode(text.replace("`1.18,", "`1.19,"))))

    @pytest.mark.parametrize("lines", [1, 2, 3], ids=["header", "one row", "all rows"])
    def test_bill_that_was_cut_off_is_an_error(self, lines):
        """A bill without its summary is not whole, even if it ends with a line."""
        text = "".join(ALL.splitlines(keepends=True)[:lines])
        with pytest.raises(bills.BillFormatError, match="cut off"):
            list(bills.read(encode(text)))

    def test_every_cut_is_found(self):
        """Wherever the file ends early, reading it fails."""
        data = encode(ALL)
        for size in range(len(data) - len("`50.00\r\n"), 0, -7):
            with pytest.raises(bills.BillFormatError):
                list(bills.read(data[:size]))

    @pytest.mark.parametrize("size", [-4, -9, 40])
    def test_damaged_gzip_file_is_an_error(self, size):
        """A gzip file that was cut off, or altered, is named as such."""
        packed = gzip.compress(encode(ALL))
        with pytest.raises(bills.BillFormatError, match="gzip"):
            list(bills.read(packed[:size]))
        altered = bytearray(packed)
        altered[-6] ^= 1
        with pytest.raises(bills.BillFormatError, match="gzip"):
            list(bills.read(bytes(altered)))

    def test_row_that_never_ends_is_an_error(self, monkeypatch):
        """What looks like line breaks in a cell is bounded, and so is a line."""
        monkeypatch.setattr("wechatpay.bills.format._LONGEST_ROW", 10_000)
        header = ALL.splitlines()[0]
        with pytest.raises(bills.BillFormatError, match=r"^line 2: "):
            list(bills.read(encode(f"{header}\n`a,`b\n" + "lines of text\n" * 9999)))
        with pytest.raises(bills.BillFormatError, match=r"^line 2: "):
            list(bills.read(encode(f"{header}\n`a,`b" + "without an end" * 99_999)))

    def test_bytes_that_are_not_utf_8_are_an_error(self):
        """The line of the first wrong byte is named."""
        with pytest.raises(bills.BillFormatError, match="line 3: is not UTF-8: give the file as it was"):
            list(bills.read(encode(ALL).replace(b"`REFUND", b"`\xff\xff")))

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", "columns of a bill"),
            (b"\xef\xbb\xbf\r\n", "columns of a bill"),
            (b"<html><body>502</body></html>", "HTML or XML"),
            (b"<xml><return_code>FAIL</return_code></xml>", "HTML or XML"),
            (b"a,b,c\n1,2,3\n", "columns of a bill"),
            ("商户号,微信订单号,商户订单号\n".encode(), "columns of a bill"),
        ],
        ids=["nothing", "BOM", "HTML", "XML", "other CSV", "few columns"],
    )
    def test_other_files_are_refused_at_once(self, data, words):
        """What is not a bill says so at its first line."""
        with pytest.raises(bills.BillFormatError, match=words):
            bills.read(data)

    def test_cell_that_cannot_be_read_is_an_error_with_its_line(self):
        """A time that is none is found when it is asked for, alone or with all others."""
        data = encode(ALL.replace("2026-03-02 18:40:00", "2026-13-02 18:40:00", 1))
        _, refund = bills.read(data)

        with pytest.raises(bills.BillFormatError, match="line 3: trade_time"):
            _ = refund.trade_time
        with pytest.raises(bills.BillFormatError, match="line 3: trade_time"):
            list(bills.read(data).dicts())

    def test_error_is_one_of_ours(self):
        """A damaged bill is a body that does not decode, and the error pickles with its line."""
        error = pickle.loads(pickle.dumps(bills.BillFormatError("is wrong", line=7)))

        assert isinstance(error, DecodeError)
        assert (7, "line 7: is wrong") == (error.line, str(error))


class TestSources:
    """What `read` takes."""

    @pytest.mark.parametrize("kind", [str, lambda path: path, lambda path: path.open("rb")])
    def test_paths_and_files_are_read(self, kind, tmp_path):
        """A path is opened and closed; a file stays the caller's."""
        path = tmp_path / "bill.csv"
        path.write_bytes(encode(ALL))
        source = kind(path)
        with bills.read(source) as rows:
            assert 2 == len(list(rows))
        if hasattr(source, "close"):
            assert not source.closed
            source.close()

    def test_reading_may_stop_early(self, tmp_path):
        """A file of which only the first row is wanted is closed with the rows."""
        path = tmp_path / "bill.csv"
        path.write_bytes(encode(ALL))
        with bills.read(path) as rows:
            next(rows)
        with pytest.raises(StopIteration):
            next(rows)

    @pytest.mark.parametrize("source", [io.StringIO("text"), 7, None], ids=["text file", "number", "None"])
    def test_other_sources_are_refused(self, source):
        """The error says what to give."""
        with pytest.raises(InvalidRequestError, match="source: give a path"):
            bills.read(source)

    def test_file_that_fails_is_closed(self, monkeypatch, tmp_path):
        """A path that is no bill leaves no file open: a warning would fail this test."""
        path = tmp_path / "bill.csv"
        path.write_bytes(b"no bill")
        with pytest.raises(bills.BillFormatError):
            bills.read(path)


def test_rows_are_mappings_that_pickle():
    """A row goes to another process as it is."""
    (row,) = bills.read(encode(REFUND))
    copy = pickle.loads(pickle.dumps(row))

    assert dict(row) == dict(copy)
    assert len(row) == len(dict(row))
    assert repr(row) == repr(copy)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (ALL, "trade, line 2: A20260302-1, 100.00 CNY"),
        (ALL.replace("`A20260302-1", "`"), "trade, line 2: 4200009990202603020000000001, 100.00 CNY"),
        (REFUND, "trade, line 2: R20260302-1, 50.00 CNY"),
        (STATEMENT, "statement, line 2: HK-1, 100.00 HKD"),
        (FUND, "fund, line 2: 4200009990202603020000000001, 98.00"),
        (SHARING, "sharing, line 2: P20260302-1, 10.00"),
        (OVERSEAS_SHARING, "overseas-sharing, line 2: P-9, 10.00 CNY"),
        (ALL.replace("`100.00,", "`x,"), "trade, line 2: A20260302-1, x CNY"),
        (ALL.replace("`A20260302-1", "`" + 60 * "A"), f"trade, line 2: {40 * 'A'}, 100.00 CNY"),
    ],
)
def test_row_shows_number_and_amount(text, shown):
    """And neither payer nor goods; of a damaged row the text."""
    assert f"<Row {shown}>" == repr(next(bills.read(encode(text), check=False)))


def test_row_without_number_and_amount_shows_its_line():
    """A bill may lack these columns."""
    text = "交易时间,公众账号ID,商户号,设备号,用户标识,商品名称\n`2026-03-02 10:15:09,`wx1,`1,`,`o-1,`tea\n"

    assert "<Row trade, line 2>" == repr(next(bills.read(encode(text))))


@pytest.mark.parametrize("read", [0, 1, 2])
def test_summary_is_there_once_all_rows_were_read(read):
    """It stands at the end of the file: before, the error says what to do."""
    rows = bills.read(encode(ALL))
    for _ in range(read):
        next(rows)
    with pytest.raises(InvalidRequestError, match="summary: it stands at the end of the bill: read all rows"):
        _ = rows.summary
    list(rows)

    assert 2 == rows.summary["count"]


def test_bill_without_a_summary_has_none():
    """As overseas statements."""
    rows = bills.read(encode(STATEMENT))
    list(rows)

    assert rows.summary is None


def test_dicts_have_the_values_of_the_rows():
    """Both ways to read a bill give the same."""
    for text in SAMPLES.values():
        rows = bills.read(encode(text))
        assert [dict(row) for row in rows] == list(bills.read(encode(text)).dicts())
        assert rows.keys == tuple(next(bills.read(encode(text)).dicts()))


def test_memory_does_not_grow_with_the_file():
    """Many rows are read in less memory than they have."""
    data = encode(trade(*[{"商户订单号": f"A{number}"} for number in range(8_000)]))
    tracemalloc.start()
    try:
        count = sum(row.total_fen for row in bills.read(data))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert 8_000 * 100_00 == count
    assert peak < len(data)


class TestCsv:
    """Rows as plain CSV."""

    @pytest.mark.parametrize("kind", ["path", "file"])
    def test_rows_become_plain_csv(self, kind, tmp_path):
        """English names, yuan and fen, ISO times, and no backticks."""
        path = tmp_path / "orders.csv"
        if kind == "path":
            assert 2 == bills.to_csv(bills.read(encode(ALL)), path)
        else:
            with path.open("w", encoding="utf-8", newline="") as file:
                assert 2 == bills.to_csv(bills.read(encode(ALL)), file)
        payment, refund = csv.DictReader(io.StringIO(path.read_text("utf-8"), newline=""))

        assert ("100.00", "10000", "2026-03-02T10:15:09+08:00") == (
            payment["total"],
            payment["total_fen"],
            payment["trade_time"],
        )
        assert ("", "50.00") == (payment["refund_id"], refund["refund_total"])
        assert [path] == list(tmp_path.iterdir())

    def test_damaged_bill_leaves_the_path_as_it_was(self, tmp_path):
        """Nothing half-written stays."""
        path = tmp_path / "orders.csv"
        path.write_text("old")
        with pytest.raises(bills.BillFormatError):
            bills.to_csv(bills.read(encode(ALL.replace("`2,`98.00", "`3,`98.00"))), path)

        assert "old" == path.read_text()
        assert [path] == list(tmp_path.iterdir())

    def test_bill_without_rows_has_a_header(self):
        """A table of no rows still has columns."""
        file = io.StringIO()

        assert 0 == bills.to_csv(bills.read(encode(trade())), file)
        assert file.getvalue().startswith("trade_time,appid,")

    def test_other_mappings_are_written_too(self):
        """Rows that were filtered or changed are rows as well."""
        file = io.StringIO()
        bills.to_csv(({"a": row.total, "b": row.line} for row in bills.read(encode(ALL))), file)

        assert ["a,b", "100.00,2", "0.00,3"] == file.getvalue().splitlines()

    def test_other_targets_are_refused(self):
        """The error says what to give."""
        with pytest.raises(InvalidRequestError, match="to: give a path"):
            bills.to_csv([], 7)
