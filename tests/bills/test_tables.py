"""Rows as pandas, polars and DuckDB take them: with the libraries themselves, where they are installed."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from bill_samples import ALL, FUND, REFUND, STATEMENT, encode, trade

from wechatpay import bills

#: Two hundred payments; fees of five decimals, and empty cells, come late.
MANY = trade(
    *[
        {"商户订单号": f"A{n}", "订单金额": "0.10", "手续费": "0.59" if n < 150 else "0.00600"}
        for n in range(199)
    ],
    {"商户订单号": "A199", "订单金额": "", "交易时间": ""},
)
AT = dt.datetime(2026, 3, 2, 10, 15, 9, tzinfo=dt.timezone(dt.timedelta(hours=8)))
SUMS = {"ALL": (ALL, 10_000, Decimal("100.00")), "MANY": (MANY, 1990, Decimal("19.90"))}


@pytest.mark.parametrize(("text", "fen", "yuan"), SUMS.values(), ids=SUMS)
def test_pandas_takes_rows(text, fen, yuan):
    """Fen are integers where no cell is empty, yuan decimals, times aware."""
    pandas = pytest.importorskip("pandas", reason="the group bench is not installed")
    frame = pandas.DataFrame(bills.read(encode(text)).dicts())

    assert fen == frame["total_fen"].sum()
    assert yuan == frame["total"].dropna().sum()
    assert AT == frame["trade_time"][0].to_pydatetime()
    assert "int64" == str(frame["settlement_total_fen"].dtype)
    assert "Asia/Shanghai" in str(frame["trade_time"].dtype)


@pytest.mark.parametrize(("text", "fen", "yuan"), SUMS.values(), ids=SUMS)
def test_polars_takes_rows(text, fen, yuan):
    """Fen are integers, yuan decimals, times aware; nothing is rounded."""
    polars = pytest.importorskip("polars", reason="the group bench is not installed")
    frame = polars.from_dicts(list(bills.read(encode(text)).dicts()), infer_schema_length=None)

    assert fen == frame["total_fen"].sum()
    assert yuan == frame["total"].sum()
    assert polars.Int64 == frame.schema["total_fen"]
    assert frame.schema["total"].is_decimal()
    assert AT == frame["trade_time"][0]
    assert sum(row.fee for row in bills.read(encode(text))) == frame["fee"].sum()


@pytest.mark.parametrize(("text", "fen", "yuan"), SUMS.values(), ids=SUMS)
def test_duckdb_takes_what_is_written(tmp_path, text, fen, yuan):
    """The CSV has types that DuckDB finds: integers, numbers, times with a zone."""
    duckdb = pytest.importorskip("duckdb", reason="the group bench is not installed")
    bills.to_csv(bills.read(encode(text)), tmp_path / "orders.csv")
    query = "SELECT sum(total_fen), sum(total::DECIMAL(18, 2)), any_value(typeof(trade_time)) FROM"
    (found,) = duckdb.sql(f"{query} '{tmp_path / 'orders.csv'}'").fetchall()

    assert (fen, yuan, "TIMESTAMP WITH TIME ZONE") == found


@pytest.mark.parametrize("text", [ALL, REFUND, FUND, STATEMENT], ids=["all", "refund", "fund", "statement"])
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_every_kind_is_a_table(library, text):
    """As many rows and columns as the bill has."""
    module = pytest.importorskip(library, reason="the group bench is not installed")
    dicts = list(bills.read(encode(text)).dicts())
    frame = (
        module.DataFrame(dicts) if library == "pandas" else module.from_dicts(dicts, infer_schema_length=None)
    )

    assert (len(dicts), len(dicts[0])) == frame.shape
