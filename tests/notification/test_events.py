"""Every documented event is read: the shapes are those of the public documentation."""

from __future__ import annotations

import json
from pathlib import Path

import digests
import pytest
from cases import each
from merchants import MCHID
from notification.callbacks import closed, envelope, handler, sealed, signed

LINES = (Path(__file__).parent / "events.tsv").read_text().splitlines()[1:]
EVENTS = [line.split("\t") for line in LINES]


def example(fields):
    """Make an event of named fields: ``#`` marks numbers, ``[]`` lists, ``.`` objects."""
    values = {"#": 100, "]": ["一", {"name": "值"}], ".": {"name": "值"}}
    return {name.rstrip("#[]."): values.get(name[-1], "值") for name in fields.split(",")}


@each(
    ("event_type", "original_type", "resource"),
    [(kind, original, resource) for version, _, kind, original, _, resource in EVENTS if version == "v3"],
)
def test_documented_event_of_apiv3_is_read(event_type, original_type, resource):
    """Its type, what it is about, and its fields arrive as they were sent."""
    fields = example(resource)
    body = envelope(fields, event_type=event_type, inner={"original_type": original_type})
    found = handler().parse(signed(body), body)

    assert (event_type, original_type) == (found.event_type, found.original_type)
    assert fields == found.resource
    assert json.dumps(fields).encode() == found.plaintext


@pytest.mark.parametrize(
    ("event_type", "names", "resource"),
    [
        pytest.param(kind, names, resource, id=event)
        for version, event, kind, _, names, resource in EVENTS
        if version == "v2"
    ],
)
def test_documented_event_of_apiv2_is_read(event_type, names, resource):
    """So does APIv2's XML, in each of its kinds."""
    inner = {name: "值" for name in resource.split(",") if name}
    document = digests.document(inner)
    special = {
        "algorithm": "HMAC-SHA256",
        "combine_mch_id": MCHID,
        "event_algorithm": "AEAD_AES_256_GCM",
        "event_ciphertext": sealed(document, nonce="0123456789ab", aad="a"),
        "event_associated_data": "a",
        "event_nonce": "0123456789ab",
        "event_type": event_type,
        "mch_id": MCHID,
        "req_info": closed(document.replace(b"xml>", b"root>")),
        "sign_type": "MD5",
    }
    fields = {name.replace("$n", "0"): special.get(name, "值") for name in names.split(",")}
    if "sign" in fields:
        fields["sign"] = digests.digest(fields, fields.get("algorithm", "MD5"))
    found = handler().parse({}, digests.document(fields))

    assert event_type == found.event_type
    assert (inner or fields) == found.resource
