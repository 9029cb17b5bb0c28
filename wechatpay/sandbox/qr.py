"""QR codes as SVG: what a shop shows for a Native order.

ISO/IEC 18004, byte mode, error correction M, versions 1 to 10: up to 213 bytes.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["matrix", "svg"]

#: For each version: error correction codewords of a block, and the data codewords of each block.
_BLOCKS = (
    (10, (16,)),
    (16, (28,)),
    (26, (44,)),
    (18, (32, 32)),
    (24, (43, 43)),
    (16, (27, 27, 27, 27)),
    (18, (31, 31, 31, 31)),
    (22, (38, 38, 39, 39)),
    (22, (36, 36, 36, 37, 37)),
    (26, (43, 43, 43, 43, 44)),
)

#: Centers of the alignment patterns.
_ALIGNMENT = (
    (),
    (6, 18),
    (6, 22),
    (6, 26),
    (6, 30),
    (6, 34),
    (6, 22, 38),
    (6, 24, 42),
    (6, 26, 46),
    (6, 28, 50),
)

_MASKS: tuple[Callable[[int, int], bool], ...] = (
    lambda row, column: (row + column) % 2 == 0,
    lambda row, _: row % 2 == 0,
    lambda _, column: column % 3 == 0,
    lambda row, column: (row + column) % 3 == 0,
    lambda row, column: (row // 2 + column // 3) % 2 == 0,
    lambda row, column: row * column % 2 + row * column % 3 == 0,
    lambda row, column: (row * column % 2 + row * column % 3) % 2 == 0,
    lambda row, column: ((row + column) % 2 + row * column % 3) % 2 == 0,
)

#: The version from which the length has two bytes, and the version itself is written, too.
_TWO_BYTES, _NAMED = 10, 7

Grid = list[list[bool | None]]


def svg(text: str) -> str:
    """Draw a text as a QR code, with its margin.

    Raises:
        ValueError: The text is longer than 213 bytes.
    """
    rows = matrix(text)
    size = len(rows) + 8
    dark = (f"M{c + 4},{r + 4}h1v1h-1z" for r, row in enumerate(rows) for c, bit in enumerate(row) if bit)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0,0h{size}v{size}h-{size}z"/><path d="{"".join(dark)}"/></svg>'
    )


def matrix(text: str) -> list[list[bool]]:
    """Encode a text; ``True`` is dark.

    Raises:
        ValueError: The text is longer than 213 bytes.
    """
    data = text.encode()
    version = next((v for v in range(1, 11) if len(data) <= _capacity(v)), 0)
    if not version:
        raise ValueError("text: a QR code has up to 213 bytes here")
    bits = "".join(f"{word:08b}" for word in _interleave(version, _codewords(version, data)))
    candidates = (_draw(version, bits, mask) for mask in range(8))
    return min(candidates, key=_penalty)


def _capacity(version: int) -> int:
    return sum(_BLOCKS[version - 1][1]) - (3 if version >= _TWO_BYTES else 2)


def _codewords(version: int, data: bytes) -> bytes:
    total = sum(_BLOCKS[version - 1][1])
    length = f"{len(data):016b}" if version >= _TWO_BYTES else f"{len(data):08b}"
    bits = "0100" + length + "".join(f"{byte:08b}" for byte in data) + "0000"
    words = bytes(int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8))[:total]
    return words + (b"\xec\x11" * total)[: total - len(words)]


def _interleave(version: int, words: bytes) -> Iterator[int]:
    correction, sizes = _BLOCKS[version - 1]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    blocks = [words[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    for i in range(max(sizes)):
        yield from (block[i] for block in blocks if i < len(block))
    remainders = [_remainder(block, correction) for block in blocks]
    for i in range(correction):
        yield from (remainder[i] for remainder in remainders)


@cache
def _field() -> tuple[list[int], list[int]]:
    """Return the powers and logarithms of the field with 256 elements."""
    powers, logarithms, value = [0] * 512, [0] * 256, 1
    for i in range(255):
        powers[i] = powers[i + 255] = value
        logarithms[value] = i
        value = value << 1 ^ (0x11D if value & 0x80 else 0)
    return powers, logarithms


def _remainder(block: bytes, size: int) -> list[int]:
    """Divide by the generator polynomial: the Reed-Solomon code of a block."""
    powers, logarithms = _field()
    generator = [1]
    for i in range(size):
        shifted = [*generator, 0]
        for j, factor in enumerate(generator):
            shifted[j + 1] ^= powers[logarithms[factor] + i] if factor else 0
        generator = shifted
    rest = [*block, *[0] * size]
    for i in range(len(block)):
        if lead := rest[i]:
            for j, factor in enumerate(generator):
                rest[i + j] ^= powers[logarithms[factor] + logarithms[lead]] if factor else 0
    return rest[len(block) :]


def _draw(version: int, bits: str, mask: int) -> list[list[bool]]:
    size = 17 + 4 * version
    grid: Grid = [[None] * size for _ in range(size)]
    _draw_finders(grid)
    _draw_alignment(grid, _ALIGNMENT[version - 1])
    _draw_format(grid, mask)
    if version >= _NAMED:
        _draw_version(grid, version)
    stream = iter(bits)
    for row, column in _free(grid):
        grid[row][column] = (next(stream, "0") == "1") != _MASKS[mask](row, column)
    return [[bool(bit) for bit in line] for line in grid]


def _draw_finders(grid: Grid) -> None:
    size = len(grid)
    for top, left in ((0, 0), (0, size - 7), (size - 7, 0)):
        for row, column in product(range(-1, 8), repeat=2):
            if 0 <= top + row < size and 0 <= left + column < size:
                distance = max(abs(row - 3), abs(column - 3))
                grid[top + row][left + column] = distance in {0, 1, 3}
    for i in range(8, size - 8):
        grid[6][i] = grid[i][6] = i % 2 == 0


def _draw_alignment(grid: Grid, centers: tuple[int, ...]) -> None:
    last = len(centers) - 1
    for i, j in product(range(len(centers)), repeat=2):
        # The finders are there.
        if (i, j) not in {(0, 0), (0, last), (last, 0)}:
            for row, column in product(range(-2, 3), repeat=2):
                grid[centers[i] + row][centers[j] + column] = max(abs(row), abs(column)) != 1


def _draw_format(grid: Grid, mask: int) -> None:
    size, rest = len(grid), mask << 10
    for i in range(4, -1, -1):
        rest ^= 0x537 << i if rest >> (i + 10) & 1 else 0
    bits = (mask << 10 | rest) ^ 0x5412
    for i in range(15):
        bit = bool(bits >> i & 1)
        grid[i if i < 6 else i + 1 if i < 8 else size - 15 + i][8] = bit  # noqa: PLR2004  past the timing row
        grid[8][size - 1 - i if i < 8 else 15 - i if i == 8 else 14 - i] = bit  # noqa: PLR2004  the same
    grid[size - 8][8] = True


def _draw_version(grid: Grid, version: int) -> None:
    size, rest = len(grid), version << 12
    for i in range(5, -1, -1):
        rest ^= 0x1F25 << i if rest >> (i + 12) & 1 else 0
    bits = version << 12 | rest
    for i in range(18):
        row, column = i // 3, size - 11 + i % 3
        grid[row][column] = grid[column][row] = bool(bits >> i & 1)


def _free(grid: Grid) -> Iterator[tuple[int, int]]:
    """Return the free modules in the order of the bits: pairs of columns, up and down in turn."""
    size = len(grid)
    columns = [column for column in range(size - 1, 0, -2) if column > 6] + [5, 3, 1]  # noqa: PLR2004  the timing column
    for turn, right in enumerate(columns):
        for step in range(size):
            row = step if turn % 2 else size - 1 - step
            for column in (right, right - 1):
                if grid[row][column] is None:
                    yield row, column


def _penalty(grid: list[list[bool]]) -> int:
    """Rate how hard a code is to read."""
    size, columns = len(grid), [list(column) for column in zip(*grid, strict=True)]
    lines = ["".join("01"[bit] for bit in line) for line in (*grid, *columns)]
    runs = sum(
        len(run) - 2
        for line in lines
        for run in line.replace("01", "0 1").replace("10", "1 0").split()
        if len(run) >= 5  # noqa: PLR2004
    )
    squares = sum(
        grid[r][c] == grid[r][c + 1] == grid[r + 1][c] == grid[r + 1][c + 1]
        for r, c in product(range(size - 1), repeat=2)
    )
    finders = sum(
        line[i:].startswith(("10111010000", "00001011101")) for line in lines for i in range(size - 10)
    )
    share = sum(map(sum, grid)) * 20 // (size * size)
    return runs + 3 * squares + 40 * finders + 10 * min(abs(share - 10), abs(share - 9))
