"""Measure this package against what its users would write by hand: ``python -m tests.benchmarks``.

Prints tables, and draws the plot of the documents when everything was measured.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from . import cores, plot
from .gateway import Gateway
from .material import Material
from .sections import SECTIONS, Plan

PLOT = Path(__file__).parents[2] / "docs" / "benchmark.svg"


def main() -> int:
    """Measure what was asked for."""
    asked = _arguments()
    _settle_environment()
    with tempfile.TemporaryDirectory() as folder:
        material = Material.make(Path(folder))
        with Gateway(material) as gateway:
            cores.pin(cores.CLIENT)
            last = 100_000 if asked.long else asked.last
            plan = Plan(gateway.plain, gateway.tls, material, asked.rounds, asked.calls, asked.flight, last)
            measured = []
            for name in asked.sections or SECTIONS:
                for section in SECTIONS[name](plan):
                    print(section, flush=True)  # noqa: T201  the report
                    measured.append(section)
    if asked.plot:
        asked.plot.write_text(plot.draw(measured), "utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument(
        "sections", nargs="*", choices=[[], *SECTIONS], help="what to measure; all by default"
    )
    parser.add_argument("--rounds", type=int, default=24, help="rounds of each measurement (24)")
    parser.add_argument("--calls", type=int, default=50, help="calls in a round (50)")
    parser.add_argument(
        "--flight", type=int, nargs="*", default=[1, 50, 500], help="asynchronous calls at a time (1 50 500)"
    )
    parser.add_argument("--last", type=int, default=10_000, help="last call of the endurance test (10,000)")
    parser.add_argument("--long", action="store_true", help="go on to the 100,000th call")
    parser.add_argument("--plot", type=Path, help="where to draw the plot")
    asked = parser.parse_args()
    if not asked.sections and not asked.plot:
        asked.plot = PLOT
    return asked


def _settle_environment() -> None:
    """Measure without this machine's proxies and authorities, and with bytecode, as installers leave it."""
    for name in list(os.environ):
        if name.lower().endswith(("_proxy", "_ca_bundle")) or name == "PYTHONDONTWRITEBYTECODE":
            del os.environ[name]


if __name__ == "__main__":
    sys.exit(main())
