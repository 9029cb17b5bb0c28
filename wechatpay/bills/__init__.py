"""Bills: fetched and checked, read, and compared with your own books."""

from wechatpay.bills.errors import BillFormatError, BillNotReadyError, DigestError
from wechatpay.bills.fetch import FetchOptions, adownload, afetch, download, fetch
from wechatpay.bills.files import Bill
from wechatpay.bills.read import Row, Rows, read
from wechatpay.bills.write import to_csv

__all__ = [
    "Bill",
    "BillFormatError",
    "BillNotReadyError",
    "DigestError",
    "FetchOptions",
    "Row",
    "Rows",
    "adownload",
    "afetch",
    "download",
    "fetch",
    "read",
    "to_csv",
]
