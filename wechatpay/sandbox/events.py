"""The callbacks that WeChat Pay documents, with an example of each resource.

The most used ones have a realistic example; the examples of all others are generated from the catalogue.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from wechatpay import catalogue
from wechatpay.catalogue import lookup
from wechatpay.sandbox.clock import format_digits, format_local, format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Event", "change", "find", "known", "values"]

#: The names of the examples of APIv2's callbacks, by the catalogue's.
_EXAMPLES = {name: example for example, name in lookup.EVENTS_V2.items() if example != "v2/contract-ended"}


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of event.

    Attributes:
        name: Its ``event_type``; APIv2's have none, and begin ``v2/`` here.
        summary: WeChat Pay's summary; ``""`` in APIv2.
        original_type: ``original_type``; ``""`` in APIv2.
        associated_data: Additional authenticated data; ``""`` in APIv2.
        resource: An example, with places for what differs, such as ``{mchid}``.
        sign_type: The digest of an APIv2 callback, unless another is asked for.
        has_return_code: Whether an APIv2 callback has a ``return_code``.
    """

    name: str
    summary: str
    original_type: str
    associated_data: str
    resource: Mapping[str, Any]
    sign_type: str = "MD5"
    has_return_code: bool = True

    @property
    def is_v2(self) -> bool:
        """Whether it is sent as XML."""
        documented = catalogue.events().get(self.name)
        return self.name.startswith("v2/") or (documented is not None and documented.version == "v2")

    @property
    def is_encrypted_xml(self) -> bool:
        """Whether it is sent as XML with an encrypted event in it, as those of hotel deposits are."""
        return self.is_v2 and self.name.startswith(("CHECK.", "TRANSACTION."))


@cache
def known() -> Mapping[str, Event]:
    """Return the events with an example, by name."""
    text = resources.files(__package__).joinpath("events.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    return {
        line["event"]: Event(
            name=line["event"],
            summary=line.get("summary", ""),
            original_type=line.get("original_type", ""),
            associated_data=line.get("associated_data", ""),
            resource=line["resource"],
            sign_type=line.get("sign_type", "MD5"),
            has_return_code=line.get("has_return_code", True),
        )
        for line in lines
    }


def find(name: str) -> Event | None:
    """Return a documented event by its name, or by the catalogue's name of an APIv2 callback."""
    name = _EXAMPLES.get(name, name)
    if event := known().get(name):
        return event
    if documented := catalogue.events().get(name):
        kind = next(iter(documented.original_types), "")
        return Event(name, documented.title, kind, kind, {})
    return None


def values(mchid: str, appid: str, now: float) -> Mapping[str, str]:
    """Return the values of an example's placeholders: the merchant, its app, and the present time."""
    return {
        "{mchid}": mchid,
        "{appid}": appid,
        "{now}": format_rfc3339(now),
        "{local}": format_local(now),
        "{digits}": format_digits(now),
    }


def change(example: Any, changes: Mapping[str, Any], at: Mapping[str, str]) -> dict[str, Any]:
    """Fill an example's placeholders and change some of its fields, also within objects.

    Args:
        example: A resource.
        changes: Fields to change or to add; ``None`` removes one.
        at: The values of placeholders, from `values`.
    """
    filled: dict[str, Any] = _fill(example, at)
    for name, value in changes.items():
        if value is None:
            filled.pop(name, None)
        elif isinstance(value, dict) and isinstance(filled.get(name), dict):
            filled[name] = change(filled[name], value, {})
        else:
            filled[name] = value
    return filled


def _fill(value: Any, at: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _fill(member, at) for name, member in value.items()}
    if isinstance(value, list):
        return [_fill(member, at) for member in value]
    return at.get(value, value) if isinstance(value, str) else value
