"""Bills: fetched and checked, read, and compared with your own books."""

from wechatpay.bills.errors import BillFormatError, BillNotReadyError, DigestError
from wechatpay.bills.read import Row, Rows, read
from wechatpay.bills.write import to_csv

__all__ = ["BillFormatError", "BillNotReadyError", "DigestError", "Row", "Rows", "read", "to_csv"]
