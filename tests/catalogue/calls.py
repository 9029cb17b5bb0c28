"""A call of every documented operation, as data and as a program, with a value for every member."""

from __future__ import annotations

from stubs import attribute

from wechatpay.catalogue import operations

ADDED = {"sign", "nonce_str"}


def sample(field):
    """Return a value that the documents allow."""
    kind = field.type.removesuffix("[]")
    if field.enum and kind != "boolean":
        value = field.enum[0]
        value = str(value) if kind == "string" else int(value)
    elif kind == "object":
        members = field.fields or next(iter(field.variants.values()), {})
        value = {name: sample(member) for name, member in members.items()}
    else:
        value = {"string": "text", "integer": 1, "number": 1, "boolean": True}[kind]
    return [value] if field.type.endswith("[]") else value


def options(operation):
    """Return the variables and options of a call that gives every documented member."""
    given = {name: sample(field) for name, field in operation.path.items() if field.value is None}
    given.pop("empty", None)
    if operation.query:
        given["query"] = {name: sample(field) for name, field in operation.query.items()}
    if operation.body_kind in {"json", "xml"} and operation.body:
        given[operation.body_kind] = {name: sample(field) for name, field in operation.body.items()}
    if operation.security:
        given["security"] = True
    return given


def chain(operation):
    """Spell the operation's template as attributes."""
    segments = operation.template.split("/")
    return ".".join(f"{attribute(segment)}" for segment in segments)


def program():
    """Return a program that makes every call."""
    lines = ["from wechatpay import Builder, Media", "", "instance = Builder()", "media = Media('a.png')", ""]
    for operation in operations():
        given = options(operation)
        written = [f"{name}={value!r}" for name, value in given.items()]
        if operation.body_kind == "multipart":
            written.append("media=media")
        lines.append(f"instance.{chain(operation)}.{operation.verb.lower()}({', '.join(written)})")
    return "\n".join(lines) + "\n"
