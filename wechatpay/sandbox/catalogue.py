"""The operations that the sandbox serves, as data, and the checks of parameters that follow from it.

``operations.jsonl`` holds one documented operation a line.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from wechatpay.sandbox import refusals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wechatpay.sandbox.answer import Answer, Received

__all__ = ["Operation", "Parameter", "operations"]

_FORMS = {
    "integer": (re.compile(r"-?[0-9]{1,18}"), "数值规则校验失败，应为整数"),
    "number": (re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?"), "数值规则校验失败，应为数字"),
    "boolean": (re.compile(r"true|false|1|0"), "布尔规则校验失败，应为true或false"),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a path or query.

    Attributes:
        name: Its name.
        type: ``string``, ``integer``, ``number``, ``boolean``, or one of these and ``[]``.
        required: Whether it must be there.
        enum: The values it may have; ``()`` for any.
    """

    name: str
    type: str
    required: bool
    enum: tuple[str, ...] = ()

    @classmethod
    def read(cls, line: Mapping[str, Any]) -> Parameter:
        """Read a parameter's entry in the catalogue."""
        return cls(line["name"], line["type"], line["required"], tuple(map(str, line.get("enum", ()))))

    def refusal(self, location: str, values: list[str]) -> Answer | None:
        """Return the error answer to ``values`` that break a rule, or ``None``."""
        if not values or (self.required and values == [""]):
            rule = "必填性规则校验失败，此字段为必填项"
            return refusals.bad_parameter(location, self.name, None, rule) if self.required else None
        if len(values) > 1 and not self.type.endswith("[]"):
            return refusals.bad_parameter(location, self.name, values, "唯一性规则校验失败，此字段重复出现")
        for value in values:
            if rule := self._broken(value):
                return refusals.bad_parameter(location, self.name, value, rule)
        return None

    def _broken(self, value: str) -> str:
        form, rule = _FORMS.get(self.type.removesuffix("[]"), (None, ""))
        if form and not form.fullmatch(value):
            return rule
        if self.enum and value not in self.enum:
            return f"枚举规则校验失败，应为{'、'.join(self.enum)}之一"
        return ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One documented operation.

    Attributes:
        verb: HTTP method, upper case.
        uri: Template of the path, without leading ``/``.
        title: WeChat Pay's name for it.
        path: The variables of ``uri``.
        query: The parameters of the query; others are ignored, as WeChat Pay does.
        response: The fields of its answer, as the catalogue has them.
    """

    verb: str
    uri: str
    title: str
    path: tuple[Parameter, ...]
    query: tuple[Parameter, ...]
    response: tuple[Mapping[str, Any], ...]

    @classmethod
    def read(cls, line: Mapping[str, Any]) -> Operation:
        """Read a line of the catalogue."""
        return cls(
            verb=line["verb"].upper(),
            uri=line["uri"],
            title=line["title"],
            path=tuple(map(Parameter.read, line["path_params"])),
            query=tuple(map(Parameter.read, line["query"])),
            response=tuple(line["response"]),
        )

    def refusal(self, received: Received, variables: Mapping[str, str]) -> Answer | None:
        """Return the error answer to a request whose parameters break a rule, or ``None``."""
        given: dict[str, list[str]] = {}
        for name, value in received.query:
            given.setdefault(name, []).append(value)
        return _first(p.refusal("path", [variables[p.name]]) for p in self.path) or _first(
            p.refusal("query", given.get(p.name, [])) for p in self.query
        )


def _first(refused: Iterable[Answer | None]) -> Answer | None:
    return next(filter(None, refused), None)


def operations() -> tuple[Operation, ...]:
    """Read the catalogue."""
    text = resources.files(__package__).joinpath("operations.jsonl").read_text(encoding="utf-8")
    return tuple(Operation.read(json.loads(line)) for line in text.splitlines())
