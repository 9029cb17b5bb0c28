"""The operations that the sandbox serves, as data, and the checks of parameters that follow from it.

``operations.jsonl`` holds one documented operation a line. ``one_of`` names the parameters of which one must
be there; ``security`` says that the merchant certificate must be.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Breach", "Operation", "Parameter", "operations"]

_FORMS = {
    "integer": (re.compile(r"-?[0-9]{1,18}"), "数值规则校验失败，应为整数"),
    "number": (re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?"), "数值规则校验失败，应为数字"),
    "boolean": (re.compile(r"true|false|1|0"), "布尔规则校验失败，应为true或false"),
}


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that a request breaks.

    Attributes:
        location: ``path``, ``query`` or ``body``.
        name: The parameter.
        value: Its value; ``None`` when it is missing.
        rule: Which rule, in WeChat Pay's words.
    """

    location: str
    name: str
    value: Any
    rule: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a path, query or body.

    Attributes:
        name: Its name.
        type: ``string``, ``integer``, ``number``, ``boolean``, ``object``, or one of these and ``[]``.
        required: Whether it must be there.
        enum: The values it may have; ``()`` for any.
        max_length: Bytes that it may have, as UTF-8.
        fields: What an object, or the JSON in a string, has.
    """

    name: str
    type: str
    required: bool
    enum: tuple[str, ...] = ()
    max_length: int | None = None
    fields: tuple[Parameter, ...] = ()

    @classmethod
    def read(cls, line: Mapping[str, Any]) -> Parameter:
        """Read a parameter's entry in the catalogue."""
        return cls(
            name=line["name"],
            type=line["type"],
            required=line["required"],
            enum=tuple(map(str, line.get("enum", ()))),
            max_length=line.get("max_length"),
            fields=tuple(map(cls.read, line.get("fields", ()))),
        )

    def breach(self, location: str, values: Sequence[str]) -> Breach | None:
        """Return the rule that ``values`` break, or ``None``."""
        if not values or (self.required and list(values) == [""]):
            rule = "必填性规则校验失败，此字段为必填项"
            return Breach(location, self.name, None, rule) if self.required else None
        if len(values) > 1 and not self.type.endswith("[]"):
            return Breach(location, self.name, list(values), "唯一性规则校验失败，此字段重复出现")
        for value in values:
            if rule := self._broken(value):
                return Breach(location, self.name, value, rule)
        return None

    def _broken(self, value: str) -> str:
        form, rule = _FORMS.get(self.type.removesuffix("[]"), (None, ""))
        if form and not form.fullmatch(value):
            return rule
        if self.enum and value not in self.enum:
            return f"枚举规则校验失败，应为{'、'.join(self.enum)}之一"
        if self.max_length is not None and len(value.encode("utf-8", "replace")) > self.max_length:
            return f"长度规则校验失败，不得超过{self.max_length}字节"
        return ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One documented operation.

    Attributes:
        verb: HTTP method, upper case.
        uri: Template of the path, without leading ``/``; APIv2's begin with ``v2/``.
        title: WeChat Pay's name for it.
        parameters: Those of the ``path``, the ``query`` and the ``body``; others are ignored, as WeChat Pay
            does.
        one_of: Names of the body's parameters of which one must be there; ``()`` for none.
        security: Whether it wants the merchant certificate.
        is_download: Whether it answers a file.
        response: The fields of its answer, as the catalogue has them.
    """

    verb: str
    uri: str
    title: str
    parameters: Mapping[str, tuple[Parameter, ...]]
    one_of: tuple[str, ...]
    security: bool
    is_download: bool
    response: tuple[Mapping[str, Any], ...]

    @classmethod
    def read(cls, line: Mapping[str, Any]) -> Operation:
        """Read a line of the catalogue."""
        places = {"path": "path_params", "query": "query", "body": "body"}
        return cls(
            verb=line["verb"].upper(),
            uri=line["uri"],
            title=line["title"],
            parameters={place: tuple(map(Parameter.read, line[key])) for place, key in places.items()},
            one_of=tuple(line.get("one_of", ())),
            security="security" in line.get("options_required", ()),
            is_download=line.get("response_kind") == "csv",
            response=tuple(line["response"]),
        )

    def breach(self, **given: Mapping[str, Sequence[str]]) -> Breach | None:
        """Return the first rule that a request breaks, or ``None``.

        Args:
            given: ``path``, ``query`` or ``body``: the values of each name.
        """
        return next(self._breaches(given), None)

    def _breaches(self, given: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterator[Breach]:
        for location, values in given.items():
            for parameter in self.parameters[location]:
                if breach := parameter.breach(location, values.get(parameter.name, ())):
                    yield breach
        if self.one_of and not any(any(given["body"].get(name, ())) for name in self.one_of):
            yield Breach("body", self.one_of[0], None, f"{'、'.join(self.one_of)}必须填写其一")


def operations(protocol: str) -> tuple[Operation, ...]:
    """Read the catalogue.

    Args:
        protocol: ``v3`` or ``v2``.
    """
    text = resources.files(__package__).joinpath("operations.jsonl").read_text(encoding="utf-8")
    read = (Operation.read(json.loads(line)) for line in text.splitlines())
    return tuple(operation for operation in read if operation.uri.startswith(f"{protocol}/"))
