"""The curve of SM2 (GB/T 32918.5), as far as loading a key needs it; GmSSL does everything else."""

from __future__ import annotations

from typing import Final, TypeAlias

__all__ = ["NUMBER_BYTES", "PARAMETERS", "multiplied"]

_Point: TypeAlias = tuple[int, int]

NUMBER_BYTES: Final = 32

_P: Final = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_00000000_FFFFFFFF_FFFFFFFF
_A: Final = _P - 3
_B: Final = 0x28E9FA9E_9D9F5E34_4D5A9E4B_CF6509A7_F39789F5_15AB8F92_DDBCBD41_4D940E93
_G: Final[_Point] = (
    0x32C4AE2C_1F198119_5F990446_6A39C994_8FE30BBF_F2660BE1_715A4589_334C74C7,
    0xBC3736A2_F4F6779C_59BDCEE3_6B692153_D0A9877C_C62A4740_02DF32E5_2139F0A0,
)

#: What is digested with each public key: a, b and the base point.
PARAMETERS: Final = b"".join(number.to_bytes(NUMBER_BYTES) for number in (_A, _B, *_G))


def multiplied(number: int) -> bytes:
    """Return the point of the public key whose private key is ``number``: two coordinates, 32 bytes each.

    Takes 20 ms, and not always the same: for keys that are loaded once without their public half, never for
    signing.

    Args:
        number: From 1 up to the order of the base point, which is not checked.
    """
    point = _G
    for bit in f"{number:b}"[1:]:
        point = _added(point, point)
        if bit == "1":
            point = _added(point, _G)
    return b"".join(coordinate.to_bytes(NUMBER_BYTES) for coordinate in point)


def _added(one: _Point, other: _Point) -> _Point:
    (x1, y1), (x2, y2) = one, other
    rise, run = (3 * x1 * x1 + _A, 2 * y1) if one == other else (y2 - y1, x2 - x1)
    slope = rise * pow(run, -1, _P)
    x = (slope * slope - x1 - x2) % _P
    return x, (slope * (x1 - x) - y1) % _P
