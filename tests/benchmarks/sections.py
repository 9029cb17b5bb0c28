"""What is measured, and what each number should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import asynchronous, blocking, core, cores, endurance, startup, threads
from .measure import interleave, timed
from .report import Bar, Section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .material import Material
    from .measure import Rounds

__all__ = ["SECTIONS", "Plan"]

_OURS, _WRITTEN = "this package", "hand-written requests"

#: The size of a usual response, in bytes.
_USUAL = 512


@dataclass(frozen=True, slots=True)
class Plan:
    """How to measure.

    Attributes:
        plain: Base URL of the gateway over HTTP.
        tls: Base URL of the gateway over TLS.
        material: Keys and certificates.
        rounds: Rounds of each measurement.
        calls: Calls in a round.
    flights: How many asynchronous calls to make at a time.
        last: The last call of the endurance test.
    """

    plain: str
    tls: str
    material: Material
    rounds: int
    calls: int
    flights: list[int]
    last: int

    @property
    def wires(self) -> tuple[tuple[str, str], ...]:
        """The names and base URLs of both."""
        return ("HTTP", self.plain), ("TLS", self.tls)


def sync(plan: Plan) -> Iterator[Section]:
    """Compare blocking calls by all means."""
    for wire, base in plan.wires:
        calls = {
            name: timed(_repeated(make(base, plan.material, _USUAL)), plan.calls)
            for name, make in blocking.contenders.items()
        }
        yield _compared(f"Blocking calls over {wire}", interleave(calls, plan.rounds), "≤ 0.70")


def flights(plan: Plan) -> Iterator[Section]:
    """Compare asynchronous calls, with few and many in flight."""
    for wire, base in plan.wires:
        for flight in plan.flights:
            with asynchronous.contenders(base, plan.material, flight, _USUAL) as works:
                calls = {name: timed(work, max(plan.calls, flight)) for name, work in works.items()}
                title = f"Asynchronous calls over {wire}, {flight} in flight"
                yield _compared(title, interleave(calls, plan.rounds), "≤ 1.35")


def inside(plan: Plan) -> Iterator[Section]:
    """Measure the core's own part, without RSA and transport."""
    call = core.core(plan.plain, plan.material)
    calls = {
        "the same by hand": timed(_repeated(core.written()), 20 * plan.calls),
        _OURS: timed(_repeated(call), 20 * plan.calls),
    }
    costs = interleave(calls, plan.rounds)
    section = Section("The core's own part of a call", ("", "CPU µs", "calls of Python functions of ours"))
    for name, count in (("the same by hand", 0), (_OURS, core.count_calls(call))):
        section.rows.append((name, f"{1e6 * costs.seconds(name):.0f}", str(count)))
    yield section


def bodies(plan: Plan) -> Iterator[Section]:
    """Compare blocking POSTs as what they send and what they get grows."""
    section = Section(
        "Blocking POSTs over HTTP, as bodies grow both ways",
        ("KiB", "CPU", "quartiles", "CPU µs", "hand-written µs"),
    )
    for size in (512, 16 << 10, 256 << 10, 1 << 20):
        payload = {"text": "文" * (size // 3)}
        calls = {
            name: timed(_repeated(make(plan.plain, plan.material, size, payload)), max(2, plan.calls // 5))
            for name, make in ((_WRITTEN, blocking.written), (_OURS, blocking.ours))
        }
        costs = interleave(calls, max(2, plan.rounds // 2))
        ratio = costs.cpu(_OURS, _WRITTEN)
        micros = (f"{1e6 * costs.seconds(name):.0f}" for name in (_OURS, _WRITTEN))
        section.rows.append((f"{size / 1024:g}", str(ratio), ratio.spread, *micros))
    yield section


def start(plan: Plan) -> Iterator[Section]:
    """Compare processes from their start to the first verified response, and imports."""
    for wire, base in plan.wires:
        costs = startup.first_responses(base, plan.material, plan.rounds)
        yield _compared(f"From process start to the first response, over {wire}", costs, "≤ 1.25", 1e3, "ms")
    costs = startup.imports(plan.rounds)
    section = Section(
        "A process that does nothing else, against one that does nothing", ("source", "CPU ms more", "target")
    )
    empty = costs.seconds("nothing")
    for name in list(costs)[1:]:
        target = "≤ 40" if name == "import wechatpay" else ""
        section.rows.append((name, f"{1e3 * (costs.seconds(name) - empty):.1f}", target))
    yield section


def memory(plan: Plan) -> Iterator[Section]:
    """Compare the memory of processes that make one call, and many."""
    section = Section("Peak memory of a process, MiB", ("blocking, over TLS", "2 calls", "many calls"))
    for name in (_WRITTEN, _OURS):
        peaks = (startup.peak(name, plan.tls, plan.material, calls) for calls in (2, 20 * plan.calls))
        section.rows.append((name, *(f"{peak:.1f}" for peak in peaks)))
    yield section


def long(plan: Plan) -> Iterator[Section]:
    """Compare late calls with early ones."""
    counts = (min(1_000, plan.last), plan.last)
    works = {
        "blocking": (
            _repeated(blocking.written(plan.plain, plan.material, _USUAL)),
            _repeated(blocking.ours(plan.plain, plan.material, _USUAL)),
        )
    }
    with asynchronous.contenders(plan.plain, plan.material, 1, _USUAL) as contenders:
        works["asynchronous"] = tuple(contenders.values())
        section = Section(
            "Late calls against early ones",
            ("", *(f"CPU at {count:,}" for count in counts), "late / early", "MiB more", "target"),
        )
        for name, (written, ours) in works.items():
            early, late = endurance.stages(written, ours, counts, plan.rounds)
            growth = late.cpu.middle / early.cpu.middle
            more = late.memory - early.memory
            section.rows.append(
                (name, str(early.cpu), str(late.cpu), f"{growth:.2f}", f"{more:.1f}", "1.00, 0.0")
            )
        yield section


def threaded(plan: Plan) -> Iterator[Section]:
    """Compare two client threads with one."""
    section = Section(
        "Two client threads on two cores", ("calls per second, one thread = 1.00", "", "quartiles", "target")
    )
    cores.pin(sorted({*cores.CLIENT, *cores.GATEWAY}))
    for name, make in ((_WRITTEN, blocking.written), (_OURS, blocking.ours)):
        ratio = threads.speedup(
            _repeated(make(plan.plain, plan.material, _USUAL)), 4 * plan.calls, plan.rounds
        )
        section.rows.append((name, str(ratio), ratio.spread, "≥ 1.30" if name == _OURS else ""))
    cores.pin(cores.CLIENT)
    yield section


#: By the name they are asked for.
SECTIONS: dict[str, Callable[[Plan], Iterator[Section]]] = {
    "sync": sync,
    "async": flights,
    "core": inside,
    "bodies": bodies,
    "start": start,
    "memory": memory,
    "threads": threaded,
    "long": long,
}


def _compared(title: str, costs: Rounds, target: str, unit: float = 1e6, name: str = "µs") -> Section:
    """Lay the costs out against the first contender's."""
    reference = next(iter(costs))
    section = Section(title, (f"{reference} = 1.00", "CPU", "quartiles", "wall", f"CPU {name}", "target"))
    for contender in costs:
        cpu, wall = costs.cpu(contender, reference), costs.wall(contender, reference)
        aim = target if contender == _OURS else ""
        cost = f"{unit * costs.seconds(contender):.0f}"
        section.rows.append((contender, str(cpu), cpu.spread, str(wall), cost, aim))
        section.bars.append(Bar(contender, cpu.middle))
    return section


def _repeated(call: Callable[[], object]) -> Callable[[int], None]:
    def work(calls: int) -> None:
        for _ in range(calls):
            call()

    return work
