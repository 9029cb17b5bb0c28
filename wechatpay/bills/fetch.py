"""Fetching bills: ask for the URL, download it signed, check the digest; sync and async through one flow."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812  `date` is a parameter everywhere
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wechatpay.bills.checked import CheckedFile, Cipher, Digest
from wechatpay.bills.errors import BillFormatError, BillNotReadyError, DigestError
from wechatpay.bills.files import Bill, Target, is_directory
from wechatpay.bills.layout import china, parse_day
from wechatpay.bills.operations import OPERATIONS, FetchOptions, Operation
from wechatpay.errors import (
    APIError,
    ConfigurationError,
    InvalidRequestError,
    ResponseTooLargeError,
    ServerError,
    TransportError,
)
from wechatpay.messages import Response
from wechatpay.middleware import Pause, arun, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    from wechatpay.builder import Builder, Node

__all__ = ["FetchOptions", "adownload", "afetch", "download", "fetch"]

T = TypeVar("T")

#: The hour, in Beijing, of the day after, from which bills are to be fetched.
_READY_HOUR = 10

#: How long to wait for a bill that WeChat Pay is still making.
_MAKING = timedelta(minutes=30)

#: What says that a day has no bill, or that it is not made yet: codes of APIv3, and codes and texts of APIv2.
_EMPTY = {"NO_STATEMENT_EXIST", "NO_BILL_EXIST"}
_MAKING_CODES = {"STATEMENT_CREATING", "BILL_CREATING"}
_V2_CODE = "20002"
_V2_EMPTY, _V2_MAKING = "no bill exist", "bill creating"

#: What an expired ``download_url`` is refused with.
_EXPIRED = "INVALID_REQUEST"


@dataclass(frozen=True, slots=True)
class _Ask:
    """An effect: send a request; what comes back is its response."""

    node: Node
    verb: str
    options: Mapping[str, Any]


_Flow = Generator["_Ask | Pause", Any, T]


def fetch(
    instance: Builder,
    kind: str,
    date: Date | str,
    to: str | os.PathLike[str] | None = None,
    **options: Unpack[FetchOptions],
) -> Bill:
    """Fetch a bill: ask for it, download it, unpack it, and keep it only if it matches its digest.

    ::

        bill = bills.fetch(instance, "trade", "2026-11-19", "trade.csv")
        for row in bill:
            print(row.out_trade_no, row.total)

    A broken connection, an error of the server's or an expired URL starts over. On failure no file is left
    behind, and one that was at ``to`` before is as it was.

    Args:
        instance: The Builder.
        kind: ``trade``, ``fund``, ``sub-merchant-fund``, ``ecommerce-fund``, ``sharing``, ``payscore``,
            ``failed-withdrawals``, ``funds-to-oversea``, ``statement``, ``hk-statement``,
            ``overseas-sharing``, ``overseas-sharing-refunds``, ``v2-trade`` or ``v2-fund``.
        date: The day, in Beijing, as a date or ``YYYY-MM-DD``.
        to: A file; a directory, where the file is named after kind and day; or ``None`` for a temporary file.
            A directory that does not exist is created if the path ends with a slash, as ``"bills/"`` does.
        options: See `FetchOptions`.

    Returns:
        The bill; an empty one for a day on which nothing happened.

    Raises:
        BillNotReadyError: It does not exist yet; the error says when to ask.
        DigestError: What came does not match the digest.
        InvalidRequestError: An argument is wrong, or the URL leads to a host that is not WeChat Pay's.
        CryptoError: An encrypted bill was not encrypted for this merchant.
        ConfigurationError: The bill is encrypted, and ``private_key`` is an SM2 key or a function.
        TransportError: All attempts failed.
        APIError: WeChat Pay returned another error.
        VerificationError: A response is not provably WeChat Pay's.
    """
    return run(_fetch(instance, kind, date, to, options), _perform)


async def afetch(
    instance: Builder,
    kind: str,
    date: Date | str,
    to: str | os.PathLike[str] | None = None,
    **options: Unpack[FetchOptions],
) -> Bill:
    """Fetch a bill as `fetch` does, without blocking the event loop.

    Raises:
        WeChatPayError: As `fetch` does.
    """
    return await arun(_fetch(instance, kind, date, to, options), _aperform)


def download(
    instance: Builder,
    signed: Response | Mapping[str, Any],
    to: str | os.PathLike[str],
    *,
    require_hash: bool = True,
    progress: Callable[[int, int | None], object] | None = None,
) -> Path:
    """Download the file that a signed response names, and keep it only if it matches.

    For receipts, vouchers, fapiao files and whatever else comes with ``download_url`` (or ``url``),
    ``hash_type`` and ``hash_value``; a file packed with gzip is unpacked, and one that comes with
    ``encrypt_key`` and ``nonce`` is decrypted.

    Args:
        instance: The Builder.
        signed: The response, or the part of its JSON that names the file.
        to: The file to write.
        require_hash: ``False`` permits a response without ``hash_value``: those of fapiao files have none.
        progress: Called with the bytes received, and those in all or ``None``.

    Returns:
        The path.

    Raises:
        DigestError: The file does not match, or there is no ``hash_value``.
        InvalidRequestError: ``signed`` names no file, ``to`` is a directory, or the URL leads to a host that
            is not WeChat Pay's.
        APIError: The URL has expired, among others: ask for a new one.
        TransportError: The connection broke; the URL may be good still.
    """
    return run(_download(instance, signed, to, require_hash, progress), _perform)


async def adownload(
    instance: Builder,
    signed: Response | Mapping[str, Any],
    to: str | os.PathLike[str],
    *,
    require_hash: bool = True,
    progress: Callable[[int, int | None], object] | None = None,
) -> Path:
    """Download a file as `download` does, without blocking the event loop.

    Raises:
        WeChatPayError: As `download` does.
    """
    return await arun(_download(instance, signed, to, require_hash, progress), _aperform)


def _perform(effect: _Ask | Pause) -> Any:
    if isinstance(effect, Pause):
        return time.sleep(effect.seconds)
    return getattr(effect.node, effect.verb)(**effect.options)


async def _aperform(effect: _Ask | Pause) -> Any:
    import asyncio  # noqa: PLC0415  a blocking caller never loads it

    if isinstance(effect, Pause):
        return await asyncio.sleep(effect.seconds)
    return await getattr(effect.node, f"{effect.verb}Async")(**effect.options)


def _fetch(
    instance: Builder, kind: str, date: Date | str, to: str | os.PathLike[str] | None, options: FetchOptions
) -> _Flow[Bill]:
    operation = OPERATIONS.get(kind)
    if operation is None:
        raise InvalidRequestError(f"kind: {kind!r:.40} is unknown; known are {', '.join(OPERATIONS)}")
    day = parse_day("date", date)
    asked = operation.ask(day, options)
    clock = options.get("clock", time.time)
    attempts, pause = options.get("attempts", 3), options.get("pause", 1.0)
    target = Target.choose(to, operation.file_name(day, options))
    try:
        for attempt in range(1, attempts + 1):
            problem: Exception
            try:
                files = yield from _attempt(instance, operation, asked, target, options)
                return target.finish(kind, day, files)
            except APIError as error:
                if _explain_absence(error, day, clock()):
                    return target.finish(kind, day, [])
                problem = error
            except (TransportError, _ExpiredUrlError) as error:
                problem = error
            if attempt == attempts or not _may_start_over(problem):
                raise problem.error if isinstance(problem, _ExpiredUrlError) else problem
            yield Pause(pause * 2 ** (attempt - 1))
        raise InvalidRequestError("attempts: give 1 or more")
    finally:
        target.clean()


def _may_start_over(problem: Exception) -> bool:
    if isinstance(problem, APIError):
        return problem.retryable or isinstance(problem, ServerError)
    return not isinstance(problem, ResponseTooLargeError)


def _attempt(
    instance: Builder,
    operation: Operation,
    asked: Mapping[str, Any],
    target: Target,
    options: FetchOptions,
) -> _Flow[list[CheckedFile]]:
    """Ask for the bill, and download what is named into the target's staging directory."""
    node, progress = instance.chain(operation.template), options.get("progress")
    if operation.is_direct:
        path = target.stage(0)
        file = CheckedFile(path, operation.digest, progress=progress)
        yield _Ask(node, operation.verb, {**asked, "sink": file})
        return [file]
    response: Response = yield _Ask(node, operation.verb, asked)
    parts = _list_parts(response) if operation.is_encrypted else [response.json()]
    files: list[CheckedFile] = []
    try:
        for number, part in enumerate(parts):
            path = target.stage(number)
            file = yield from _download_part(instance, part, path, operation.has_digest, progress)
            files.append(file)
    except APIError as error:
        if error.code == _EXPIRED:
            raise _ExpiredUrlError(error) from None
        raise
    return files


def _list_parts(response: Response) -> list[dict[str, Any]]:
    """Return what names the files of an encrypted bill, in order: one at least."""
    data = response.json()
    parts = data.get("download_bill_list") or []
    numbers = {int(part.get("bill_sequence", 0)) for part in parts}
    if not parts or len(parts) != data.get("download_bill_count", len(parts)) or len(parts) != len(numbers):
        raise BillFormatError(
            f"the response names {len(numbers)} files of the {data.get('download_bill_count')} that the bill "
            "has: fetch it again",
            response=response,
        )
    return sorted(parts, key=lambda part: int(part.get("bill_sequence", 0)))


def _download(
    instance: Builder,
    signed: Response | Mapping[str, Any],
    to: str | os.PathLike[str],
    require_hash: bool,  # noqa: FBT001  passed on
    progress: Callable[[int, int | None], object] | None,
) -> _Flow[Path]:
    part = signed.json() if isinstance(signed, Response) else signed
    if not isinstance(part, Mapping):
        raise InvalidRequestError(
            "signed: give the signed response, or that part of its JSON which names the file"
        )
    if is_directory(to):
        raise InvalidRequestError(f"to: {os.fspath(to)!r} is a directory: give a file")
    yield from _download_part(instance, part, Path(to), require_hash, progress)
    return Path(to)


def _download_part(
    instance: Builder,
    part: Mapping[str, Any],
    path: Path,
    require_hash: bool,  # noqa: FBT001  passed on
    progress: Callable[[int, int | None], object] | None,
) -> _Flow[CheckedFile]:
    url = part.get("download_url") or part.get("url")
    if not isinstance(url, str):
        raise InvalidRequestError(
            "signed: names no file: there is no download_url; is the receipt still being made?"
        )
    digest = None
    if part.get("hash_value") or part.get("hash_type"):
        digest = Digest.parse(part.get("hash_type"), part.get("hash_value"))
    elif require_hash:
        raise DigestError(
            "the response has no hash_value to check the file by; require_hash=False accepts it all the same"
        )
    cipher = None
    if part.get("encrypt_key"):
        cipher = Cipher(_decrypt_key(instance, part["encrypt_key"]), str(part.get("nonce", "")).encode())
    file = CheckedFile(path, lambda _: digest, cipher=cipher, progress=progress)
    yield _Ask(instance.chain(url), "get", {"sink": file})
    return file


def _decrypt_key(instance: Builder, key: Any) -> bytes:
    """Decrypt the key of a file.

    Raises:
        ConfigurationError: The merchant's key is of SM2, or is not here.
        CryptoError: It was encrypted for another merchant.
    """
    try:
        return instance.getDriver().decrypt_bytes(str(key))
    except ConfigurationError as error:
        raise ConfigurationError(
            "private_key: the bill is encrypted, and only an RSA key, not a function, decrypts its key; "
            f"WeChat Pay does not document the form for SM2 keys ({error})"
        ) from None


class _ExpiredUrlError(Exception):
    """A ``download_url`` was refused: a new one may do."""

    def __init__(self, error: APIError) -> None:
        super().__init__()
        self.error = error


def _explain_absence(error: APIError, day: Date, now: float) -> bool:
    """Return whether an error says that nothing happened on a day.

    Raises:
        BillNotReadyError: The bill of that day does not exist yet.
    """
    text = error.message.lower() if error.code == _V2_CODE else ""
    is_empty = error.code in _EMPTY or text == _V2_EMPTY
    is_making = error.code in _MAKING_CODES or text == _V2_MAKING
    ready = datetime(day.year, day.month, day.day, _READY_HOUR, tzinfo=china()) + timedelta(days=1)
    at = datetime.fromtimestamp(now, china())
    # An empty day is final only once bills are ready. Other errors, such as a wrong bill_type, never pass.
    is_early = is_empty and at < ready
    if not is_making and not is_early:
        return is_empty
    ready = ready if at < ready else at + _MAKING
    raise BillNotReadyError.until(ready, day, error)
