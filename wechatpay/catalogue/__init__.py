"""Every documented operation and callback of WeChat Pay, as data.

::

    operation = catalogue.find("POST", "v3/pay/transactions/jsapi")
    operation.title, operation.links, operation.body["amount"].fields["total"].type
    catalogue.search("退款")
    catalogue.events()["TRANSACTION.SUCCESS"].resource

The data is read when it is first asked for. A call that is not checked never reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wechatpay.catalogue.explanations import Explanation, explain_code, explain_request_id
from wechatpay.catalogue.lookup import (
    EncryptedFields,
    by_template,
    children,
    encrypted_fields,
    events,
    find,
    operations,
    search,
)
from wechatpay.catalogue.model import Event, Field, Operation

if TYPE_CHECKING:
    from wechatpay.catalogue.typed.events import resource
else:
    from wechatpay.catalogue.resources import resource

__all__ = [
    "DATE",
    "EncryptedFields",
    "Event",
    "Explanation",
    "Field",
    "Operation",
    "by_template",
    "children",
    "encrypted_fields",
    "events",
    "explain_code",
    "explain_request_id",
    "find",
    "operations",
    "resource",
    "search",
]

#: Year and month in which the data was extracted from the documents.
DATE = "2026-08"
