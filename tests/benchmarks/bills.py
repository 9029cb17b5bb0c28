# ruff: noqa: PLC0415  what a process imports is measured with it
"""Measure bills: ``python -m tests.benchmarks.bills``. Takes minutes, and some GiB of the disk.

Fetches a large packed bill against ``curl | gunzip | sha1sum``, reads a million rows against Python's `csv`
and polars, and compares a million rows with a million entries. Each measurement has a process of its own.
polars comes with ``pip install --group bench``; without it, it is left out.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import http.server
import importlib.util
import json
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from datetime import date
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from .material import MCHID, MERCHANT_SERIAL, PLATFORM_SERIAL, Material
from .report import Section

DAY = date(2026, 3, 2)
ROOT = Path(__file__).parents[2]


def main() -> int:
    """Measure, or do one thing in a process of its own."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.bills",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", choices=[[], "fetching", "reading"], help="both by default")
    parser.add_argument(
        "--gib", type=float, default=2.0, help="size of the bill that is fetched, unpacked (2)"
    )
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="rows that are read and compared (1,000,000)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement (3)")
    parser.add_argument("--do", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.do:
        name, *arguments = asked.do
        print(json.dumps(_JOBS[name](*arguments)))  # noqa: T201  read by the parent
        return 0
    sizes = {"fetching": int(asked.gib * (1 << 30)), "reading": asked.rows}
    measure = {"fetching": fetching, "reading": reading}
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.sections or sizes:
            for section in measure[name](Path(folder), sizes[name], asked.rounds):
                print(section, flush=True)  # noqa: T201  the report
    return 0


def fetching(folder, size, rounds):
    """Compare a download with what a shell does."""
    Material.make(folder)
    packed, plain = _write_large(folder / "large.csv.gz", size)
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.bills",
        "--do",
        "serve",
        str(folder),
        str(packed),
        plain,
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        base = server.stdout.readline().strip()
        shell = f"curl -s {base}v3/billdownload/file?token=t | gunzip | sha1sum"
        costs = {name: [] for name in ("curl | gunzip | sha1sum", "bills.fetch", "bills.afetch")}
        memory = dict.fromkeys(costs, "")
        for _ in range(rounds):
            costs["curl | gunzip | sha1sum"].append(_run_shell(shell, plain))
            for name, job in (("bills.fetch", "fetch"), ("bills.afetch", "afetch")):
                done = _run(job, base, folder)
                costs[name].append((done["wall"], done["cpu"]))
                memory[name] = f"{done['memory']:.0f}"
    finally:
        server.kill()
        server.communicate()
    packed_size = packed.stat().st_size
    packed.unlink()
    title = f"Fetching a bill of {size / (1 << 30):g} GiB, {packed_size / (1 << 20):.0f} MiB packed"
    section = Section(title, ("", "wall s", "CPU s", "rate, shell = 1.00", "MiB above imports", "target"))
    best = {name: min(wall for wall, _ in each) for name, each in costs.items()}
    for name, each in costs.items():
        rate = best["curl | gunzip | sha1sum"] / best[name]
        target = "≥ 0.80, ≤ 100" if name.startswith("bills") else ""
        cpu = min(cpu for _, cpu in each)
        section.rows.append((name, f"{best[name]:.1f}", f"{cpu:.1f}", f"{rate:.2f}", memory[name], target))
    yield section


def reading(folder, rows, rounds):
    """Compare reading and reconciling a bill with what others need to split it."""
    path = folder / "rows.csv"
    _write_rows(path, rows)
    readers = dict(_READERS)
    if importlib.util.find_spec("polars") is None:
        del readers["polars, all text"]
        print("polars is not installed, and left out: pip install --group bench", file=sys.stderr)  # noqa: T201
    costs = {name: [] for name in readers}
    memory = {}
    for _ in range(rounds):
        for name in readers:
            done = _run("read", name, path)
            costs[name].append(done["cpu"])
            memory[name] = done["memory"]
    section = Section(
        f"Reading {rows:,} rows, {path.stat().st_size / (1 << 20):.0f} MiB",
        ("", "CPU s", "rate, csv = 1.00", "MiB above imports", "target"),
    )
    for name, each in costs.items():
        rate, target = min(costs["csv"]) / min(each), "≥ 0.35" if name == "bills.read" else ""
        section.rows.append((name, f"{min(each):.2f}", f"{rate:.2f}", f"{memory[name]:.0f}", target))
    yield section
    _run("books", path)
    jobs = {"csv, both files": ("read", "csv, both files", path), "bills.reconcile": ("compare", path)}
    done = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            done[name].append(_run(*job))
    section = Section(
        f"Comparing {rows:,} orders with as many entries",
        ("", "wall s", "CPU s", "CPU, csv = 1.0", "MiB above imports", "found"),
    )
    base = min(each["cpu"] for each in done["csv, both files"])
    for name, each in done.items():
        best = min(each, key=lambda one: one["cpu"])
        section.rows.append(
            (
                name,
                f"{best['wall']:.1f}",
                f"{best['cpu']:.1f}",
                f"{best['cpu'] / base:.1f}",
                f"{best['memory']:.0f}",
                best.get("found", ""),
            )
        )
    yield section


def _write_rows(path, count):
    from wechatpay.sandbox.bill_texts import generate_orders, list_lines, write_trade_bill

    with path.open("wb") as file:
        for piece in write_trade_bill(list_lines(generate_orders(count, DAY)), MCHID):
            file.write(piece)


def _write_large(path, size):
    """Write a packed bill of so many bytes, and give its path and its SHA-1."""
    from wechatpay.sandbox.bill_texts import generate_orders, list_lines, write_trade_bill

    # What repeats is farther away than gzip looks back.
    text = b"".join(write_trade_bill(list_lines(generate_orders(20_000, DAY)), MCHID))
    digest, written = hashlib.sha1(usedforsecurity=False), 0
    with gzip.open(path, "wb", compresslevel=6) as file:
        while written < size:
            piece = text[: size - written]
            digest.update(piece)
            file.write(piece)
            written += len(piece)
    return path, digest.hexdigest()


def _run_shell(command, digest):
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout.startswith(digest)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _run(*job):
    command = [sys.executable, "-m", "tests.benchmarks.bills", "--do", *map(str, job)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _measure(work):
    """Give time on the clock, CPU time, and MiB above what was there before."""
    memory, cpu, wall = _peak(), time.process_time(), time.perf_counter()
    result = work()
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "memory": (_peak() - memory) / 1024,
        "result": result,
    }


def _peak():
    """Give the KiB of this process at most; `ru_maxrss` may be those of its parent."""
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in each)
    return int(line.split()[1])


def _builder(base, folder):
    from wechatpay import Builder

    material = Material(Path(folder))
    return Builder(
        base_uri=base,
        mchid=MCHID,
        serial=MERCHANT_SERIAL,
        private_key=material.merchant_key,
        certs={PLATFORM_SERIAL: material.platform_public_key},
    )


def _fetch(base, folder):
    import requests  # noqa: F401  the import baseline

    from wechatpay import bills

    instance = _builder(base, folder)
    target = Path(folder) / "fetched.csv"
    done = _measure(lambda: str(bills.fetch(instance, "trade", DAY, target)))
    target.unlink()
    return done


def _afetch(base, folder):
    import asyncio

    import aiohttp  # noqa: F401  the import baseline

    from wechatpay import bills

    target = Path(folder) / "fetched.csv"

    async def run():
        async with _builder(base, folder) as instance:
            return str(await bills.afetch(instance, "trade", DAY, target))

    done = _measure(lambda: asyncio.run(run()))
    target.unlink()
    return done


def _csv(path):
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        return sum(1 for _ in csv.reader(file))


def _csv_both(path):
    return _csv(path) + _csv(f"{path}.ours")


def _polars(path):
    import polars as pl

    frame = pl.read_csv(path, infer_schema=False, truncate_ragged_lines=True, quote_char=None)
    return len(frame)


def _bills(path):
    from wechatpay import bills

    rows = bills.read(path)
    count = sum(1 for _ in rows)
    assert count == rows.summary["count"]
    return count


def _totals(path):
    from wechatpay import bills

    return sum(row.total_fen for row in bills.read(path))


def _dicts(path):
    from wechatpay import bills

    return sum(1 for _ in bills.read(path).dicts())


_READERS = {
    "csv": _csv,
    "polars, all text": _polars,
    "bills.read": _bills,
    "bills.read, one amount of each": _totals,
    "bills.read, all values (dicts)": _dicts,
}


_BASELINES = {"csv, both files": _csv_both}


def _read(name, path):
    if name.startswith("polars"):
        import polars as pl  # noqa: F401  the import baseline
    if name.startswith("bills"):
        from wechatpay import bills  # noqa: F401  the same
    return _measure(lambda: (_READERS | _BASELINES)[name](path))


def _books(path):
    from wechatpay import bills

    # The books are written by another process than the one that is measured.
    return bills.to_csv(
        (
            {"out_trade_no": row.out_trade_no, "out_refund_no": row.out_refund_no, "amount_fen": _amount(row)}
            for row in bills.read(path)
        ),
        f"{path}.ours",
    )


def _amount(row):
    return row.refund_total_fen if row.is_refund else row.total_fen


def _compare(path):
    from wechatpay import bills

    def work():
        with bills.reconcile(bills.read(path), f"{path}.ours") as found:
            outcomes = [finding.outcome for finding in found]
            return found.counts["matched"], outcomes

    done = _measure(work)
    matched, outcomes = done["result"]
    return {**done, "found": f"{matched:,} matched, {len(outcomes)} differences"}


def _serve(folder, packed, digest):
    key = load_pem_private_key(Material(Path(folder)).platform_key.read_bytes(), None)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if "billdownload" in self.path:
                self.send_response(200)
                self.send_header("Content-Length", str(Path(packed).stat().st_size))
                self.end_headers()
                self.wfile.flush()
                with Path(packed).open("rb") as file:
                    self.connection.sendfile(file)
                return
            url = f"http://127.0.0.1:{self.server.server_port}/v3/billdownload/file?token=t"
            body = json.dumps({"hash_type": "SHA1", "hash_value": digest, "download_url": url}).encode()
            at, nonce = str(int(time.time())), secrets.token_hex(16)
            text = b"\n".join((at.encode(), nonce.encode(), body, b""))
            self.send_response(200)
            for name, value in {
                "Content-Length": str(len(body)),
                "Wechatpay-Timestamp": at,
                "Wechatpay-Nonce": nonce,
                "Wechatpay-Serial": PLATFORM_SERIAL,
                "Wechatpay-Signature": b64encode(key.sign(text, PKCS1v15(), SHA256())).decode(),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)  # noqa: T201  read by the parent
    server.serve_forever()


_JOBS = {
    "afetch": _afetch,
    "books": _books,
    "compare": _compare,
    "fetch": _fetch,
    "read": _read,
    "serve": _serve,
}


if __name__ == "__main__":
    sys.exit(main())
