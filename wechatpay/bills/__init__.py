"""Bills: fetched and checked, read, and compared with your own books."""

from wechatpay.bills.errors import BillFormatError, BillNotReadyError, DigestError
from wechatpay.bills.fetch import FetchOptions, adownload, afetch, download, fetch
from wechatpay.bills.files import Bill, to_csv
from wechatpay.bills.read import Row, Rows, read
from wechatpay.bills.reconcile import OUTCOMES, Finding, Reconciliation, reconcile

__all__ = [
    "OUTCOMES",
    "Bill",
    "BillFormatError",
    "BillNotReadyError",
    "DigestError",
    "FetchOptions",
    "Finding",
    "Reconciliation",
    "Row",
    "Rows",
    "adownload",
    "afetch",
    "download",
    "fetch",
    "read",
    "reconcile",
    "to_csv",
]
