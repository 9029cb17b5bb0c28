"""The most used events, as data: what WeChat Pay calls them, and what each of them says.

``events.jsonl`` holds one event a line; field names and their forms are those of the documents.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from wechatpay.sandbox.ledger import CHINA

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Event", "changed", "known", "places"]


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of event.

    Attributes:
        name: Its ``event_type``; APIv2's have none, and begin ``v2/`` here.
        summary: WeChat Pay's words for people; ``""`` in APIv2.
        original_type: What the resource is called; ``""`` where it has no name, and in APIv2.
        associated_data: What the encryption authenticates beside the resource; ``""`` in APIv2.
        resource: An example, with places for what differs, such as ``{mchid}``.
    """

    name: str
    summary: str
    original_type: str
    associated_data: str
    resource: Mapping[str, Any]

    @property
    def is_v2(self) -> bool:
        """Whether it is told in XML."""
        return self.name.startswith("v2/")


@cache
def known() -> Mapping[str, Event]:
    """Read the events, by their names."""
    text = resources.files(__package__).joinpath("events.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    return {
        line["event"]: Event(
            name=line["event"],
            summary=line.get("summary", ""),
            original_type=line.get("original_type", ""),
            associated_data=line.get("associated_data", ""),
            resource=line["resource"],
        )
        for line in lines
    }


def places(mchid: str, appid: str, now: float) -> Mapping[str, str]:
    """Return what goes where: the merchant, its app, and the moment as each kind of event writes it."""
    moment = datetime.fromtimestamp(int(now), CHINA)
    return {
        "{mchid}": mchid,
        "{appid}": appid,
        "{now}": moment.isoformat(),
        "{local}": f"{moment:%Y-%m-%d %H:%M:%S}",
        "{digits}": f"{moment:%Y%m%d%H%M%S}",
    }


def changed(example: Any, changes: Mapping[str, Any], at: Mapping[str, str]) -> dict[str, Any]:
    """Fill an example's places and change some of its fields, also within objects.

    Args:
        example: A resource.
        changes: Fields to change or to add; ``None`` takes one out.
        at: What goes where, from `places`.
    """
    filled: dict[str, Any] = _filled(example, at)
    for name, value in changes.items():
        if value is None:
            filled.pop(name, None)
        elif isinstance(value, dict) and isinstance(filled.get(name), dict):
            filled[name] = changed(filled[name], value, {})
        else:
            filled[name] = value
    return filled


def _filled(value: Any, at: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(member, at) for name, member in value.items()}
    if isinstance(value, list):
        return [_filled(member, at) for member in value]
    return at.get(value, value) if isinstance(value, str) else value
