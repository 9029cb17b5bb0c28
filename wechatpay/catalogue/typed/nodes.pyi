# What all nodes of the catalogue have, in the eyes of editors and type checkers.
# There is no `__getattr__`: an unknown segment or verb is an error. `chain()` returns the untyped node.
import os
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, TypeAlias

from wechatpay.builder import Node
from wechatpay.catalogue.typed.paths import KnownPath
from wechatpay.driver import Driver

Headers: TypeAlias = Mapping[str, str | None]
Sink: TypeAlias = str | os.PathLike[str] | BinaryIO | Callable[[bytes], Any]
Timeout: TypeAlias = float | tuple[float | None, float | None] | None

class CatalogueNode:
    def __init__(self, driver: Driver | None, template: str) -> None: ...
    def chain(self, segments: KnownPath | str | Node | CatalogueNode) -> Node:
        """Append segments, or a node's template; the node that comes back is not typed."""
    def __getitem__(self, segments: KnownPath | str | Node | CatalogueNode) -> Node:
        """Append segments, as `chain` does."""
    def getDriver(self) -> Driver:
        """Return the driver: stacks, connections, life cycle."""
