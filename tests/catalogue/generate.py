"""Generate the catalogue's package data and the stubs.

``python tests/catalogue/generate.py`` writes the stubs again: those of the catalogue from
``wechatpay/catalogue/*.jsonl``, those beside the public modules from their sources.
``python tests/catalogue/generate.py FOLDER`` first replaces that data with what FOLDER holds:
``operations.jsonl`` and ``events.jsonl`` as extracted from the documents, and, if they are there,
``errors.jsonl`` and ``request-id.tsv``. Both print which operations and files changed.
``--check`` writes nothing and exits with 1 if a file is stale.

It stands among the tests because users never run it, and a test does: it checks that no file is stale.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import interfaces
import stubs

PACKAGE = Path(__file__).parents[2] / "wechatpay" / "catalogue"

#: Stubs that are written by hand.
WRITTEN = {"typed/nodes.pyi", "typed/outside.pyi"}
DOC = "https://pay.weixin.qq.com/doc/"
HOST = "https://api.mch.weixin.qq.com/"

_ORDER_NUMBERS = ["transaction_id", "out_trade_no"]
_REFUND_NUMBERS = [*_ORDER_NUMBERS, "out_refund_no", "refund_id"]
_SHARE_NUMBERS = ["order_id", "out_order_no"]
_CUSTOMS_NUMBERS = ["out_trade_no", "transaction_id", "sub_order_no", "sub_order_id"]

#: Members of which one must be given, by operation and, for members of an object, the object's name.
#: The documents state the rule in words; the extract marks such members as required or as optional.
ONE_OF = {
    "POST v2/deposit/consume": _ORDER_NUMBERS,
    "POST v2/deposit/orderquery": _ORDER_NUMBERS,
    "POST v2/deposit/refund": _ORDER_NUMBERS,
    "POST v2/deposit/refundquery": _REFUND_NUMBERS,
    "POST v2/deposit/reverse": _ORDER_NUMBERS,
    "POST v2/pay/facepayquery": _ORDER_NUMBERS,
    "POST v2/pay/orderquery": _ORDER_NUMBERS,
    "POST v2/pay/paporderquery": _ORDER_NUMBERS,
    "POST v2/pay/partner/paporderquery": _ORDER_NUMBERS,
    "POST v2/pay/refundquery": _REFUND_NUMBERS,
    "POST v2/pay/refundqueryv2": _REFUND_NUMBERS,
    "POST v2/secapi/pay/facepayreverse": _ORDER_NUMBERS,
    "POST v2/secapi/pay/refund": _ORDER_NUMBERS,
    "POST v2/secapi/pay/refundv2": _ORDER_NUMBERS,
    "POST v2/secapi/pay/reverse": _ORDER_NUMBERS,
    "POST v3/ecommerce/refunds/apply": _ORDER_NUMBERS,
    "POST v3/refund/domestic/refunds": _ORDER_NUMBERS,
    "POST v2/pay/profitsharingreturnquery": _SHARE_NUMBERS,
    "POST v2/secapi/pay/profitsharingreturn": _SHARE_NUMBERS,
    "POST v3/brand/profitsharing/returnorders": _SHARE_NUMBERS,
    "POST v3/ecommerce/profitsharing/returnorders": _SHARE_NUMBERS,
    "POST v3/profitsharing/return-orders": _SHARE_NUMBERS,
    "POST v2/cgi-bin/mch/customs/customdeclarequery": _CUSTOMS_NUMBERS,
    "POST v2/cgi-bin/mch/newcustoms/customdeclareredeclare": _CUSTOMS_NUMBERS,
    "POST v3/customs/redeclare": _CUSTOMS_NUMBERS,
    "POST v3/global/customs/redeclare": _CUSTOMS_NUMBERS,
    "POST v2/wxv/queryhotelbill": ["out_order_no", "return_query_id"],
    "POST v2/wxv/queryrentbill": ["out_order_no", "return_query_id"],
    "POST v3/combine-transactions/jsapi combine_payer_info": ["openid", "sub_openid"],
    "POST v3/pay/partner/transactions/jsapi payer": ["sp_openid", "sub_openid"],
    "POST v3/pay/partner/transactions/jsapi-with-contract payer": ["sp_openid", "sub_openid"],
    "POST v3/pay/partner/transactions/miniprogram payer": ["sp_openid", "sub_openid"],
}

#: Members that are required on some of an operation's pages only; the extract marks them as required.
OPTIONAL = {
    "POST v3/ecommerce/refunds/apply": ["combine_transaction_id"],
    **{
        f"POST v3/combine-transactions/{scene} sub_orders": ["sub_mchid"]
        for scene in ("h5", "jsapi", "native")
    },
}

_GOODS = {
    "goods_id": "string!",
    "quantity": "integer!",
    "unit_price": "integer!",
    "discount_amount": "integer!",
    "goods_remark": "string",
}

_ORDER = {
    "amount": {
        "type": "object!",
        "fields": {
            "total": "integer!",
            "payer_total": "integer",
            "currency": "string",
            "payer_currency": "string",
        },
    },
    "promotion_detail": {
        "type": "object[]",
        "fields": {
            "coupon_id": "string!",
            "name": "string",
            "scope": {"type": "string", "enum": ["GLOBAL", "SINGLE"]},
            "type": {"type": "string", "enum": ["CASH", "NOCASH"]},
            "amount": "integer!",
            "stock_id": "string",
            "activity_id": "string",
            "wechatpay_contribute": "integer",
            "merchant_contribute": "integer",
            "other_contribute": "integer",
            "currency": "string",
            "goods_detail": {"type": "object[]", "fields": _GOODS},
        },
    },
}

#: Members that the documents have and the extract does not, by operation or event; they win over its own.
#: https://pay.weixin.qq.com/doc/v3/merchant/4012791861 and https://pay.weixin.qq.com/doc/v3/merchant/4012791859
ADDED = {
    "TRANSACTION.SUCCESS": {
        **_ORDER,
        "mchid": "string!",
        "sp_appid": "string",
        "trade_type": "string!",
        "trade_state_desc": "string!",
        "payer": {"type": "object!", "fields": {"openid": "string!", "sp_openid": "string"}},
        "amount": {"type": "object!", "fields": _ORDER["amount"]["fields"] | {"payer_total": "integer!"}},
        "combine_payer_info": {"type": "object", "fields": {"openid": "string!"}},
        "sub_orders": {
            "type": "object[]",
            "fields": {
                "mchid": "string!",
                "sub_mchid": "string",
                "sub_appid": "string",
                "sub_openid": "string",
                "trade_type": "string!",
                "trade_state": "string!",
                "bank_type": "string!",
                "attach": "string!",
                "amount": {
                    "type": "object!",
                    "fields": {
                        "total_amount": "integer!",
                        "currency": "string!",
                        "payer_amount": "integer!",
                        "payer_currency": "string!",
                    },
                },
                "success_time": "string!",
                "transaction_id": "string!",
                "out_trade_no": "string!",
                "promotion_detail": _ORDER["promotion_detail"],
            },
        },
    },
    **{
        f"GET v3/pay/{partner}transactions/{by}": _ORDER | {"payer": {"type": "object", "fields": payer}}
        for partner, payer in (("", {"openid": "string!"}), ("partner/", {"sp_openid": "string!"}))
        for by in ("id/{transaction_id}", "out-trade-no/{out_trade_no}")
    },
}


def lines(rows):
    """Lay rows out, one a line."""
    return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)


def read(path):
    """Read rows, one a line."""
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


def operation(row):
    """Cut one documented operation down to what the package keeps."""
    base = row["options"].get("base_uri", HOST)
    call = f"{row['verb'].upper()} {row['uri']}"
    kept = {
        "verb": row["verb"].upper(),
        "uri": row["uri"],
        "title": row["title"],
        "doc": [link.removeprefix(DOC) for link in row["doc"]],
        "tag": row.get("tag", []),
        "base_uri": "" if base == HOST else base,
        "path": fields(row["path_params"]),
        "query": fields(row["query"]),
        "body": fields(row["body"], call),
        "body_kind": row["body_kind"],
        "one_of": ONE_OF.get(call, []),
        "security": "security" in row.get("options_required", ()),
        "encrypts": any(
            header["name"] == "Wechatpay-Serial" and header["required"] for header in row["headers"]
        ),
        "response": merge(fields(row["response"]), ADDED.get(call, {})),
        "response_kind": row["response_kind"],
        "response_status": row["response_status"],
    }
    if row.get("query_optional"):
        kept["query_optional"] = True
    defaults = {"body_kind": "none", "response_kind": "json", "response_status": 200}
    always = {"verb", "uri", "title"}
    return {
        name: value
        for name, value in kept.items()
        if name in always or value not in (defaults.get(name), [], {}, "", False)
    }


def event(row):
    """Cut one documented callback down to what the package keeps."""
    kept = {
        "event": row["event"],
        "version": row["version"],
        "title": row["title"],
        "doc": [link.removeprefix(DOC) for link in row["doc"]],
        "variants": [name for name in row.get("variants", ()) if isinstance(name, str)],
        "original_types": row.get("original_types", []),
        "resource": merge(
            fields(row["resource"] or []), ADDED.get(row["event"], {}) if row["version"] == "v3" else {}
        ),
        "encrypted": row["encrypted"],
    }
    return {name: value for name, value in kept.items() if value not in ([], {}, "", False)}


def fields(listed, place=""):
    """Name each field's type, with ``!`` behind it where it is required, and what else is known."""
    return {field["name"]: _field(field, place) for field in listed}


def merge(members, added):
    """Add members; where both have one, the added one wins, and keeps what else was below the other."""
    merged = dict(members)
    for name, entry in added.items():
        other = merged.get(name)
        if isinstance(entry, dict) and isinstance(other, dict) and "fields" in entry:
            merged[name] = {**other, **entry, "fields": merge(other.get("fields", {}), entry["fields"])}
        else:
            merged[name] = entry
    return merged


def _field(field, place):
    optional = (*ONE_OF.get(place, ()), *OPTIONAL.get(place, ()))
    is_required = field["required"] and field["name"] not in optional
    kind = field["type"] + ("!" if is_required else "")
    more = {
        name: field[name]
        for name in (
            "enum",
            "max_length",
            "value",
            "default",
            "sensitive",
            "cipher",
            "encoded",
            "encoded_type",
        )
        if name in field
    }
    below = f"{place} {field['name']}"
    if below in ONE_OF:
        more["one_of"] = ONE_OF[below]
    if field.get("fields"):
        more["fields"] = fields(field["fields"], below)
    if field.get("variants"):
        more["variants"] = {case["when"]: fields(case["fields"]) for case in field["variants"]}
    return {"type": kind, **more} if more else kind


def data(folder):
    """Make the package data from a folder of extracted documents."""
    made = {
        "operations.jsonl": lines(
            sorted(
                map(operation, read(folder / "operations.jsonl")), key=lambda row: (row["uri"], row["verb"])
            )
        ),
        "events.jsonl": lines(map(event, read(folder / "events.jsonl"))),
    }
    errors, tails = folder / "errors.jsonl", folder / "request-id.tsv"
    if errors.exists():
        made["errors.jsonl"] = lines(
            {
                name: plain(value) if name in {"meaning_en", "remedy_en"} else value
                for name, value in row.items()
                if name != "source" and value is not None
            }
            for row in read(errors)
        )
    if tails.exists():
        made["request_ids.tsv"] = "".join(
            f"{tail}\t{plain(meaning)}\t{plain(remedy)}\t{message}\n"
            for tail, meaning, remedy, _, message, *_ in (
                line.split("\t") for line in tails.read_text("utf-8").splitlines()[1:]
            )
        )
    return made


def plain(text):
    """Leave out of an explanation what says nothing to a user: jottings of one word, and Request-IDs."""
    text = re.sub(r" ?\((?:Request-ID )?tail [^)]*\)", "", text)
    return text if " " in text.strip() and text != "as above" else ""


def changes(before, after):
    """Name the operations and events that were added, removed or changed."""
    old, new = ({_key(row): row for row in rows} for rows in (before, after))
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            yield f"- {key}"
        elif key not in old:
            yield f"+ {key}"
        elif old[key] != new[key]:
            parts = [
                name for name in old[key].keys() | new[key].keys() if old[key].get(name) != new[key].get(name)
            ]
            yield f"~ {key}: {', '.join(sorted(parts))}"


def _key(row):
    return row.get("event", "") + row.get("version", "") or f"{row['verb']} {row['uri']}"


def main(arguments):
    """Write what is stale, or report it."""
    check = "--check" in arguments
    folders = [Path(argument) for argument in arguments if not argument.startswith("-")]
    made = data(folders[0]) if folders else {}
    for name in ("operations.jsonl", "events.jsonl"):
        before = read(PACKAGE / name) if (PACKAGE / name).exists() else []
        after = [json.loads(line) for line in made[name].splitlines()] if name in made else before
        for change in changes(before, after):
            print(change)
        made.setdefault(name, (PACKAGE / name).read_text("utf-8") if not folders else "")
    operations, events = (
        [json.loads(line) for line in made[name].splitlines()]
        for name in ("operations.jsonl", "events.jsonl")
    )
    made |= {f"typed/{name}": text for name, text in stubs.generate(operations, events).items()}
    made |= {f"../{name}": text for name, text in interfaces.generate().items()}
    present = {f"typed/{path.name}" for path in (PACKAGE / "typed").glob("*.pyi")} - WRITTEN
    present |= {f"../{name}" for name in interfaces.stubs()}
    stale = [
        name
        for name, text in made.items()
        if not (PACKAGE / name).exists() or (PACKAGE / name).read_text("utf-8") != text
    ]
    left = sorted(present - made.keys())
    for name in [*stale, *left]:
        print(f"stale: {name}" if check else f"written: {name}")
        if not check and name in made:
            (PACKAGE / name).parent.mkdir(exist_ok=True)
            (PACKAGE / name).write_text(made[name], "utf-8")
        elif not check:
            (PACKAGE / name).unlink()
    return 1 if check and (stale or left) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
