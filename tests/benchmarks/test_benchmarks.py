"""The benchmark runs to its end and says what it promises; how fast things are is no matter here."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def run(*arguments):
    """Run the benchmark as its users do."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks",
        "--rounds=2",
        "--calls=2",
        "--last=4",
        *arguments,
        "--flight",
        "1",
        "2",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_benchmark_compares_every_means_with_the_hand_written_code(tmp_path):
    """One command measures sync and async calls and growth, prints tables, and draws a bar for each means."""
    plot = tmp_path / "plot.svg"
    said = run("sync", "async", "bodies", "long", f"--plot={plot}")

    rows = [line.split("|")[1:-1] for line in said.splitlines() if line.startswith("|")]
    compared = [[cell.strip() for cell in row] for row in rows if len(row) == 6]
    ours = [row for row in compared if row[0] == "this package" and row[5].startswith("≤")]
    assert 2 + 2 * 2 == len(ours)
    assert all(float(row[1]) > 0 and float(row[3]) > 0 for row in ours)
    assert {"blocking", "asynchronous"} <= {row[0].strip() for row in rows}
    bars = ET.parse(plot).getroot().findall(f"{SVG}rect")
    assert 2 * 7 + 2 * 2 * 2 == len(bars)


def test_benchmark_measures_start_memory_and_threads():
    """The same command measures processes as a whole."""
    said = run("start", "memory", "threads")

    for title in ("first response, over HTTP", "first response, over TLS", "import wechatpay", "Peak memory"):
        assert title in said
    assert "≥ 1.30" in said
