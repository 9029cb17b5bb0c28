"""Faults that wait for a request, from Python, the admin API, a request's header or the command line."""

from __future__ import annotations

import inspect
import json
import random
import threading
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox.faults import callbacks, responses, signatures
from wechatpay.sandbox.faults.fault import Fault
from wechatpay.sandbox.operations import Template, is_documented, nearest
from wechatpay.sandbox.rules import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wechatpay.sandbox.messages import HttpRequest

__all__ = ["HEADER", "Injections", "describe", "make", "parse"]

#: The request header that asks for a fault; no signature covers it.
HEADER = "Wechatpay-Sandbox-Fault"

#: Paths of the open platform, which the catalogue does not list.
_OPEN_PLATFORM = ("cgi-bin/", "sns/", "wxa/")

#: The types of fields that text can express.
_TYPES: Mapping[str, type | tuple[type, ...]] = {"int": int, "float": (int, float), "str": str, "bool": bool}


@cache
def _kinds() -> Mapping[str, type[Fault]]:
    modules = (signatures, responses, callbacks)
    return {name: getattr(module, name) for module in modules for name in module.__all__}


def make(name: str, arguments: Mapping[str, Any]) -> Fault:
    """Make a fault of :mod:`wechatpay.sandbox.faults` from its name.

    Raises:
        ConfigurationError: The name or an argument is unknown, or a value has the wrong type.
    """
    kind = _kinds().get(name) if isinstance(name, str) else None
    if kind is None:
        raise ConfigurationError(f"fault: {name!r:.40} is unknown; there are {', '.join(sorted(_kinds()))}")
    types = _fields(kind)
    for given, value in arguments.items():
        if given not in types:
            known = ", ".join(types) or "no arguments"
            raise ConfigurationError(f"{name}: unknown argument {given!r:.40}; it has {known}")
        is_bool = isinstance(value, bool)
        if not isinstance(value, _TYPES[types[given]]) or is_bool != (types[given] == "bool"):
            raise ConfigurationError(f"{name}: {given} is {KINDS[types[given]]}, not {value!r:.40}")
    try:
        return kind(**arguments)
    except TypeError:
        raise ConfigurationError(f"{name}: it needs {', '.join(types)}") from None


def parse(text: str) -> tuple[Fault, dict[str, Any]]:
    """Read a fault from text, such as ``ErrorResponse; status=429; path=v3/certificates``.

    Returns:
        The fault, and those of the arguments ``times``, ``path`` and ``probability`` that are there.

    Raises:
        ConfigurationError: A name is unknown, or a value has the wrong type.
    """
    name, *pairs = (part.strip() for part in text.split(";"))
    types = {"times": "int", "path": "str", "probability": "float", **_fields(_kinds().get(name))}
    arguments: dict[str, Any] = {}
    for pair in filter(None, pairs):
        key, _, value = (part.strip() for part in pair.partition("="))
        arguments[key] = value if types.get(key) == "str" else _read(value)
    names = ("times", "path", "probability")
    where = {key: arguments.pop(key) for key in names if key in arguments}
    return make(name, arguments), where


def describe() -> list[dict[str, Any]]:
    """Return the faults of responses: their names, first sentences, and fields with types and defaults."""
    return [
        {
            "fault": name,
            "text": (inspect.getdoc(kind) or "").split(": :class:")[0].split("\n")[0],
            "fields": [
                {
                    "name": field.name,
                    "type": field.type,
                    "default": None if field.default is MISSING else field.default,
                }
                for field in _dataclass_fields(kind)
            ],
        }
        for name, kind in _kinds().items()
        if not _is_for_callbacks(kind)
    ]


def _dataclass_fields(kind: Any) -> list[Field[Any]]:
    """Return the fields that text can express."""
    return [field for field in fields(kind) if field.type in _TYPES]


def _fields(kind: type[Fault] | None) -> dict[str, str]:
    return {field.name: str(field.type) for field in _dataclass_fields(kind)} if kind else {}


def _read(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _read_header(text: str, protocol: str) -> Fault:
    fault, others = parse(text)
    if others or protocol not in fault.protocols:
        raise ConfigurationError(f"{HEADER}: {text[:80]!r} does not apply to this one request")
    return fault


def _is_for_callbacks(fault: Fault | type[Fault]) -> bool:
    return all(protocol.endswith(" callback") for protocol in fault.protocols)


@dataclass(slots=True, eq=False)
class _Waiting:
    fault: Fault
    left: int | None
    path: str | None
    template: Template | None
    probability: float
    met: int = 0

    def concerns(self, request: HttpRequest, protocol: str) -> bool:
        is_here = self.template is None or self.template.match(request.segments) is not None
        return is_here and protocol in self.fault.protocols and _concerns(self.fault, request.segments)


def _concerns(fault: Fault, path: Sequence[str]) -> bool:
    """Return whether a fault applies to a path, or to a template, both as their segments."""
    templates = map(Template.parse, fault.templates)
    return not fault.templates or any(template.match(path) is not None for template in templates)


def _parse_path(path: str, fault: Fault) -> Template:
    """Parse the path of a fault.

    Raises:
        ConfigurationError: No request that is documented has it, or the fault does not apply to it.
    """
    known = path.replace("<", "{").replace(">", "}").removeprefix("/")
    if not known.startswith(_OPEN_PLATFORM) and ("?" in known or not is_documented(known)):
        like = nearest(known.partition("?")[0])
        raise ConfigurationError(
            f"path: {path!r:.80} is not documented; "
            + (f"did you mean {like!r}?" if like else "give the whole path, without the host")
        )
    if not _concerns(fault, known.split("/")):
        raise ConfigurationError(
            f"path: {type(fault).__name__} does not apply to {path!r:.80}, but to "
            f"{', '.join(sorted(fault.templates))}; leave it out for any of them"
        )
    # The chain's `v2/` is not sent.
    return Template.parse(known.removeprefix("v2/"))


class Injections:
    """Faults that wait for a request, in the order they were injected; thread-safe."""

    def __init__(self, seed: str = "") -> None:
        """Begin without faults.

        Args:
            seed: Decides which requests meet a fault that has a probability.
        """
        self._lock = threading.Lock()
        self._random = random.Random(seed)  # noqa: S311  it must be repeatable
        self._waiting: list[_Waiting] = []

    def add(
        self, fault: Fault | str, times: int | None = 1, path: str | None = None, probability: float = 1.0
    ) -> None:
        """Apply ``fault`` to the next requests.

        Args:
            fault: The fault, or text for `parse`, whose ``times``, ``path`` and ``probability`` hold.
            times: How often; ``None`` for all.
            path: Template of the paths concerned, as the chain spells them; ``None`` for all.
            probability: That a request concerned meets it, above 0 and up to 1.

        Raises:
            ConfigurationError: ``times`` is less than 1, the probability is not one, the path is not
                documented, or the fault is not one, or applies to callbacks or other paths only.
        """
        if isinstance(fault, str):
            fault, where = parse(fault)
            where = {"times": times, "path": path, "probability": probability, **where}
            times, path, probability = where["times"], where["path"], where["probability"]
        if not isinstance(fault, Fault):
            raise ConfigurationError(
                "fault: give one, such as faults.Reset(), or its text, such as 'Reset', "
                f"not {type(fault).__name__}"
            )
        if times is not None and (not isinstance(times, int) or times < 1):
            raise ConfigurationError(f"times: give a whole number, 1 or more, not {times!r:.40}")
        if not 0 < probability <= 1:
            raise ConfigurationError(f"probability: above 0 and up to 1, not {probability!r:.40}")
        if _is_for_callbacks(fault):
            raise ConfigurationError(
                f"fault: {type(fault).__name__} applies to callbacks; pass it to notify()"
            )
        template = None if path is None else _parse_path(path, fault)
        with self._lock:
            self._waiting.append(_Waiting(fault, times, path, template, probability))

    def take(self, request: HttpRequest, protocol: str) -> Fault | None:
        """Return the fault for this request and consume one use; ``None`` if there is none.

        Raises:
            ConfigurationError: The request's header asks for an unknown fault.
        """
        if text := request.headers.get(HEADER):
            return _read_header(text, protocol)
        with self._lock:
            waiting = next((w for w in self._waiting if self._applies(w, request, protocol)), None)
            if waiting is None:
                return None
            waiting.met += 1
            if waiting.left is not None:
                waiting.left -= 1
                if not waiting.left:
                    self._waiting.remove(waiting)
            return waiting.fault

    def _applies(self, waiting: _Waiting, request: HttpRequest, protocol: str) -> bool:
        if not waiting.concerns(request, protocol):
            return False
        return waiting.probability == 1 or self._random.random() < waiting.probability

    def list(self) -> list[dict[str, Any]]:
        """Describe the faults that wait, oldest first."""
        with self._lock:
            return [
                {
                    "fault": repr(w.fault),
                    "left": w.left,
                    "met": w.met,
                    "path": w.path,
                    "probability": w.probability,
                }
                for w in self._waiting
            ]

    def clear(self) -> None:
        """Remove all of them."""
        with self._lock:
            self._waiting.clear()
