"""APIv2 as the server sees it: digests and responses, computed without the package."""

from __future__ import annotations

import hashlib
import hmac
import xml.etree.ElementTree as ET
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from merchants import MCHID

SECRET = "oracle0secret0of032characters0ab"
NONCE = "ORACLE0PINNED0NONCE0STR032CHARSx"


def digest(fields, algorithm="MD5", secret=SECRET):
    """Compute ``sign``, in upper-case hexadecimal."""
    pairs = sorted(
        (name.encode(), value.encode()) for name, value in fields.items() if value and name != "sign"
    )
    text = b"&".join(b"%b=%b" % pair for pair in pairs) + b"&key=" + secret.encode()
    if algorithm == "MD5":
        return hashlib.md5(text).hexdigest().upper()
    return hmac.digest(secret.encode(), text, "sha256").hex().upper()


def document(fields):
    """Lay fields out as XML."""
    return "<xml>{}</xml>".format("".join(f"<{k}>{escape(v)}</{k}>" for k, v in fields.items())).encode()


def response_body(algorithm="MD5", secret=SECRET, **fields):
    """Give a signed response, successful but for what ``fields`` say."""
    fields = {"return_code": "SUCCESS", "result_code": "SUCCESS", "mch_id": MCHID, "nonce_str": "n"} | fields
    return document(fields | {"sign": digest(fields, algorithm, secret)})


def unsigned(**fields):
    """Give a response without ``sign``."""
    return document({"return_code": "SUCCESS", "result_code": "SUCCESS", "mch_id": MCHID} | fields)


def received(seen):
    """Read the fields of a request, from its body or its query."""
    if not seen.body:
        return dict(parse_qsl(seen.target.partition("?")[2], keep_blank_values=True))
    return {element.tag: element.text or "" for element in ET.fromstring(seen.body)}
