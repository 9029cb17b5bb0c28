"""The checks of parameters against the catalogue, with WeChat Pay's texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from wechatpay.catalogue import Field, Operation

__all__ = ["Violation", "check", "check_body", "check_texts"]

_FORMS = {
    "integer": (re.compile(r"-?[0-9]{1,18}"), "数值规则校验失败，应为整数"),
    "number": (re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?"), "数值规则校验失败，应为数字"),
    "boolean": (re.compile(r"true|false|1|0"), "布尔规则校验失败，应为true或false"),
}

_JSON_TYPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "string": (str, "字符串规则校验失败，应为字符串"),
    "integer": (int, "数值规则校验失败，应为整数"),
    "number": ((int, float), "数值规则校验失败，应为数字"),
    "boolean": (bool, "布尔规则校验失败，应为true或false"),
    "object": (dict, "对象规则校验失败，应为对象"),
}

#: What an integer of 64 bits is at most; the documents state no bound for most of them.
_HIGHEST = 2**63 - 1

_MISSING = "必填性规则校验失败，此字段为必填项"


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a request violates.

    Attributes:
        location: ``path``, ``query`` or ``body``.
        name: The parameter; members of objects as ``amount/total``.
        value: Its value; ``None`` when it is missing.
        rule: The rule, in WeChat Pay's words.
        message: The whole text, where it does not follow the usual pattern.
    """

    location: str
    name: str
    value: Any
    rule: str
    message: str = ""


def check(
    operation: Operation,
    given: Mapping[str, Mapping[str, Sequence[str]]],
    decrypt: Callable[[str], str] | None = None,
) -> Violation | None:
    """Return the first rule that a request violates, or ``None``.

    Args:
        operation: The operation.
        given: ``path``, ``query`` or, for XML, ``body``: the values of each name.
        decrypt: Decrypts an encrypted parameter of the query; raises ValueError for plain text.
    """
    return next(_violations(operation, given, decrypt), None)


def _violations(
    operation: Operation,
    given: Mapping[str, Mapping[str, Sequence[str]]],
    decrypt: Callable[[str], str] | None,
) -> Iterator[Violation]:
    for location, values in given.items():
        for field in getattr(operation, location).values():
            if field.cipher and decrypt and len(values.get(field.name, ())) == 1:
                yield from _check_cipher(location, field.name, values[field.name][0], decrypt)
            elif violation := check_texts(field, location, values.get(field.name, ())):
                yield violation
    if "body" in given:
        yield from _check_one_of(operation.one_of, given["body"])


def _check_one_of(names: Sequence[str], given: Mapping[str, Any], prefix: str = "") -> Iterator[Violation]:
    if names and not any(given.get(name) for name in names):
        yield Violation("body", prefix + names[0], None, f"{'、'.join(names)}必须填写其一")


def check_texts(field: Field, location: str, values: Sequence[str]) -> Violation | None:
    """Return the rule that the values of a text parameter violate, or ``None``."""
    if not values or (field.required and list(values) == [""]):
        return Violation(location, field.name, None, _MISSING) if field.required else None
    if len(values) > 1 and not field.type.endswith("[]"):
        return Violation(location, field.name, list(values), "唯一性规则校验失败，此字段重复出现")
    for value in values:
        form, rule = _FORMS.get(field.type.removesuffix("[]"), (None, ""))
        if not (form and not form.fullmatch(value)):
            rule = _check_value(field, value)
        if rule:
            return Violation(location, field.name, value, rule)
    return None


def _check_value(field: Field, value: Any) -> str:
    """Return the rule about values that ``value`` violates, or ``""``."""
    if field.enum and str(value) not in map(str, field.enum):
        return f"枚举规则校验失败，应为{'、'.join(map(str, field.enum))}之一"
    size = len(str(value).encode("utf-8", "replace"))
    if field.max_length is not None and size > field.max_length:
        return f"长度规则校验失败，不得超过{field.max_length}字节"
    return ""


def check_body(
    fields: Mapping[str, Field],
    body: Mapping[str, Any],
    decrypt: Callable[[str], str],
    one_of: Sequence[str] = (),
) -> Violation | None:
    """Return the first rule that a JSON body violates, or ``None``.

    Args:
        fields: The parameters of the body.
        body: The members of the JSON object.
        decrypt: Decrypts an encrypted member; raises ValueError for plain text.
        one_of: Members of which at least one must be given.
    """
    violations = chain(_body_violations(fields, body, "", decrypt), _check_one_of(one_of, body))
    return next(violations, None)


def _body_violations(
    fields: Mapping[str, Field], body: Mapping[str, Any], prefix: str, decrypt: Callable[[str], str]
) -> Iterator[Violation]:
    for field in fields.values():
        name, value = prefix + field.name, body.get(field.name)
        if value is None or value == "":
            if field.required:
                yield Violation("body", name, None, _MISSING)
        elif field.type.endswith("[]"):
            yield from _check_array(field, name, value, decrypt)
        else:
            yield from _check_member(field, name, value, decrypt)
    for member, value in body.items():
        if value is None or (fields and member not in fields):
            yield Violation("body", prefix + member, value, "", "请求中含有未在API文档中定义的参数")


def _check_array(field: Field, name: str, value: Any, decrypt: Callable[[str], str]) -> Iterator[Violation]:
    if not isinstance(value, list):
        yield Violation("body", name, value, "数组规则校验失败，应为数组")
        return
    for index, item in enumerate(value):
        yield from _check_member(field, f"{name}/{index}", item, decrypt)


def _check_member(field: Field, name: str, member: Any, decrypt: Callable[[str], str]) -> Iterator[Violation]:
    kind = field.type.removesuffix("[]")
    value: Any = member
    expected, rule = _JSON_TYPES.get(kind, (object, ""))
    if not isinstance(member, expected) or (isinstance(value, bool) and kind in {"integer", "number"}):
        yield Violation("body", name, value, rule)
    elif kind == "integer" and not -_HIGHEST <= value <= _HIGHEST:
        yield Violation("body", name, value, f"数值规则校验失败，应在-{_HIGHEST}至{_HIGHEST}之间")
    elif kind == "object":
        yield from _body_violations(field.fields, value, f"{name}/", decrypt)
        yield from _check_one_of(field.one_of, value, f"{name}/")
    elif field.cipher == "platform-rsa":
        yield from _check_cipher("body", name, value, decrypt)
    elif rule := _check_value(field, value):
        yield Violation("body", name, value, rule)


def _check_cipher(location: str, name: str, value: str, decrypt: Callable[[str], str]) -> Iterator[Violation]:
    try:
        decrypt(value)
    except ValueError:
        yield Violation(location, name, None, "解密失败，请使用微信支付公钥或平台证书公钥加密")
