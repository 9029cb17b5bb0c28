"""The chain: attribute access, ``chain()`` and ``[]`` make a URI template; a verb sends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, Self, Unpack, cast

from wechatpay import uri
from wechatpay.driver import Driver
from wechatpay.errors import ConfigurationError, InvalidRequestError, shorten
from wechatpay.options import VERBS, Arguments
from wechatpay.settings import Settings, SettingsDict

if TYPE_CHECKING:
    from wechatpay.catalogue.typed import CatalogueNode, Root
    from wechatpay.messages import Response
    from wechatpay.promise import Promise

__all__ = ["AsyncVerb", "Builder", "Node", "Verb"]

_RESERVED = (*map(str.lower, VERBS), *(f"{verb.lower()}Async" for verb in VERBS), "chain", "getDriver")


class _Documentation(str):
    """A class's docstring; on a node it is what the catalogue knows, for ``help(node)`` and ``node?``."""

    __slots__ = ()

    def __get__(self, node: Node | None, owner: type[Node]) -> str:
        if node is None:
            return self
        from wechatpay.catalogue.describe import describe_node  # noqa: PLC0415  never for a call

        return describe_node(node) or self


class Node:
    """A URI template on its way to a verb; an immutable value.

    Nodes are equal when their driver is the same and their templates are equal. Copies keep the driver;
    a pickled node keeps its template only, until ``instance.chain(node)`` binds it again.
    """

    __slots__ = ("_driver", "_path")

    _driver: Driver | None
    _path: str

    __iter__ = None
    __contains__ = None

    def __init__(self, driver: Driver | None, path: str) -> None:
        _set_driver(self, driver)
        _set_path(self, path)

    @property
    def _shown(self) -> str:
        return self._path

    @property
    def get(self) -> Verb:
        """Send a GET: ``node.get(…)``. ``help(node.get)`` shows what is documented."""
        return Verb(self, "get")

    @property
    def post(self) -> Verb:
        """Send a POST: ``node.post(…)``. ``help(node.post)`` shows what is documented."""
        return Verb(self, "post")

    @property
    def put(self) -> Verb:
        """Send a PUT: ``node.put(…)``. ``help(node.put)`` shows what is documented."""
        return Verb(self, "put")

    @property
    def patch(self) -> Verb:
        """Send a PATCH: ``node.patch(…)``. ``help(node.patch)`` shows what is documented."""
        return Verb(self, "patch")

    @property
    def delete(self) -> Verb:
        """Send a DELETE: ``node.delete(…)``. ``help(node.delete)`` shows what is documented."""
        return Verb(self, "delete")

    @property
    def getAsync(self) -> AsyncVerb:  # noqa: N802  PHP's name
        """Send a GET: ``await node.getAsync(…)``. ``help(node.get)`` shows what is documented."""
        return AsyncVerb(self, "getAsync")

    @property
    def postAsync(self) -> AsyncVerb:  # noqa: N802  PHP's name
        """Send a POST: ``await node.postAsync(…)``. ``help(node.post)`` shows what is documented."""
        return AsyncVerb(self, "postAsync")

    @property
    def putAsync(self) -> AsyncVerb:  # noqa: N802  PHP's name
        """Send a PUT: ``await node.putAsync(…)``. ``help(node.put)`` shows what is documented."""
        return AsyncVerb(self, "putAsync")

    @property
    def patchAsync(self) -> AsyncVerb:  # noqa: N802  PHP's name
        """Send a PATCH: ``await node.patchAsync(…)``. ``help(node.patch)`` shows what is documented."""
        return AsyncVerb(self, "patchAsync")

    @property
    def deleteAsync(self) -> AsyncVerb:  # noqa: N802  PHP's name
        """Send a DELETE: ``await node.deleteAsync(…)``. ``help(node.delete)`` shows what is documented."""
        return AsyncVerb(self, "deleteAsync")

    def chain(self, segments: str | Node | CatalogueNode) -> Node:
        """Append segments, or a node's template.

        Values belong in variables: a segment that looks like a word becomes kebab-case, as an attribute does
        (``eduPapay`` is ``edu-papay``). Every other segment stays as it is.

        Args:
            segments: ``"v3/pay/transactions/id/<transaction_id>"``, an absolute URL, or another node.

        Raises:
            InvalidRequestError: The text makes no path.
        """
        if isinstance(segments, Node):
            return Node(self._driver, uri.join(self._path, segments._path))
        if not isinstance(segments, str):
            raise InvalidRequestError(
                f"a path is text, not {type(segments).__name__}: values belong in variables"
            )
        return Node(self._driver, uri.join(self._path, uri.literal(segments, self._path)))

    def getDriver(self) -> Driver:  # noqa: N802  PHP's name
        """Return the driver: stacks, connections, life cycle.

        Raises:
            ConfigurationError: The node came out of a pickle.
        """
        if self._driver is None:
            raise ConfigurationError(
                "a pickled node keeps its path only: bind it to a Builder with instance.chain(node)"
            )
        return self._driver

    def __getattr__(self, name: str) -> Node:
        """Append one segment by PHP's naming rule: ``eduPapay`` is ``edu-papay``, ``_openid_`` a variable."""
        return Node(self._driver, uri.child(self._path, name))

    def __getitem__(self, segments: str | Node | CatalogueNode) -> Node:
        """Append segments, as :meth:`chain` does."""
        return self.chain(segments)

    if not TYPE_CHECKING:  # pragma: no branch  a type checker shall say so itself

        def __call__(self, *_: object, **__: object) -> NoReturn:
            """Refuse to call a path: verbs are called."""
            raise InvalidRequestError(
                f"{uri.redact(self._path) or 'the root'} is a path, not a verb: end it with "
                ".get(…), .post(…), .put(…), .patch(…) or .delete(…), or their Async forms"
            )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a node is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a node is immutable: {name} cannot be deleted")

    def __dir__(self) -> list[str]:
        from wechatpay.catalogue.lookup import children, spell  # noqa: PLC0415  never for a call

        return [*_RESERVED, *map(spell, children(self._shown).segments)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return self._driver is other._driver and self._shown == other._shown

    def __hash__(self) -> int:
        return hash((id(self._driver), self._shown))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Node, (None, self._path)

    def __str__(self) -> str:
        return uri.redact(self._shown) or "/"

    def __repr__(self) -> str:
        return f"<wechatpay {uri.redact(self._path) or '/'}>"


# Past the refusal of __setattr__.
_set_driver = Node.__dict__["_driver"].__set__
_set_path = Node.__dict__["_path"].__set__


class _VerbNode(Node):
    """A verb, which is also the node below by that name: ``…receivers.delete`` does both."""

    __slots__ = ("_name", "_parent")

    _parent: Node
    _name: str

    def __init__(self, parent: Node, name: str) -> None:
        object.__setattr__(self, "_driver", parent._driver)
        object.__setattr__(self, "_parent", parent)
        object.__setattr__(self, "_name", name)

    @property
    def _path(self) -> str:  # type: ignore[override]
        # Not before it is asked for: behind a query there are verbs, but no nodes.
        return uri.child(self._parent._path, self._name)

    @property
    def _shown(self) -> str:
        try:
            return self._path
        except InvalidRequestError:
            return f"{self._parent._shown} {self._name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._parent, self._name)

    def __repr__(self) -> str:
        return f"<wechatpay {uri.redact(self._parent._path) or '/'} {self._name}>"


class Verb(_VerbNode):
    """Sends a request and waits for the response."""

    __slots__ = ()

    def __call__(self, options: Mapping[str, Any] | None = None, /, **kw: Any) -> Response:
        """Send the request.

        Args:
            options: Variables of the template, and the options ``query json xml body media headers
                timeout base_uri sink security nonceless debug check``.
            kw: The same, as keywords.

        Returns:
            The response, verified.

        Raises:
            InvalidRequestError: The call cannot be sent as it is; nothing was sent.
            ConfigurationError: A setting that the call needs was left out.
            TransportError: No response came.
            VerificationError: The response cannot be verified as WeChat Pay's.
            APIError: WeChat Pay responded with an error.
        """
        arguments = Arguments((options, kw))
        # Error trackers record local variables.
        del options, kw
        parent = self._parent
        return parent.getDriver().send(self._name.upper(), parent._path, arguments)


class AsyncVerb(_VerbNode):
    """Sends a request and returns a promise of the response."""

    __slots__ = ()

    def __call__(self, options: Mapping[str, Any] | None = None, /, **kw: Any) -> Promise[Response]:
        """Begin the request at once; ``await`` the promise, or ``.then()`` and ``.wait()`` as in PHP.

        Takes and raises what the blocking verb does; errors come out of the promise.
        """
        arguments = Arguments((options, kw))
        del options, kw
        parent = self._parent
        verb = self._name.removesuffix("Async").upper()
        return parent.getDriver().send_async(verb, parent._path, arguments)


for _class in (Node, Verb, AsyncVerb):
    _class.__doc__ = _Documentation(_class.__doc__ or "")

if not TYPE_CHECKING:
    # For type checkers, the root has the documented segments only: `wechatpay.catalogue.typed`.
    Root = Node


class Builder(Root):
    """The root of the chain: one per merchant, shared by all threads, tasks and processes.

    ::

        instance = Builder(mchid=..., serial=..., private_key=..., certs=...)
        instance.v3.pay.transactions.id._transaction_id_.get(transaction_id="...", query={"mchid": "..."})

    Use it in ``with`` or ``async with`` to close its connections at the end; a script need not.
    """

    __slots__ = ()

    def __init__(self, **settings: Unpack[SettingsDict]) -> None:
        """Check the settings; see :class:`~wechatpay.settings.SettingsDict`.

        Raises:
            ConfigurationError: A setting is unknown, missing or wrong; the message names it.
        """
        # Debuggers show `self` in the frames of an error.
        super().__init__(None, "")
        super().__init__(Driver(Settings.parse(cast("dict[str, Any]", settings))), "")

    @classmethod
    def factory(cls, settings: Mapping[str, Any] | None = None, /, **kw: Any) -> Builder:
        """Make a Builder from the PHP SDK's mapping, key for key; our spellings will do, too.

        Raises:
            ConfigurationError: A setting is unknown, missing or wrong; the message names it.
        """
        if not (problem := _find_problem(settings, kw)):
            kw.update(settings or {})
        # The frames of an error hold no keys.
        del settings
        try:
            if problem:
                raise ConfigurationError(problem)
            return cls(**kw)
        finally:
            kw.clear()

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), "factory"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.getDriver().close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.getDriver().aclose()


def _find_problem(settings: Any, kw: Mapping[str, Any]) -> str:
    """Describe what is wrong with the arguments of ``factory``; return ``""`` if nothing is."""
    if not isinstance(settings, Mapping | None):
        return f"factory takes a mapping of settings, not {type(settings).__name__}"
    if odd := [name for name in settings or {} if not isinstance(name, str)]:
        return f"unknown setting {shorten(repr(odd[0]))}: names are text"
    twice = sorted((settings or {}).keys() & kw.keys())
    return f"{', '.join(map(shorten, twice))}: given in the mapping and as a keyword" if twice else ""
