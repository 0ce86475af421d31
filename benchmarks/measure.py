"""Figures, each one thing measured beside another in the same run, and the table of them all in RESULTS.md."""

import contextlib
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path
from typing import Any

JSON_FILE = Path(__file__).with_name("RESULTS.json")
MARKDOWN_FILE = Path(__file__).with_name("RESULTS.md")

HEAD = """# What it costs, beside what people would use instead

Written by `script/bench`; [docs/performance.md](../docs/performance.md) says what follows from it. Medians, and in
brackets the least and the most; a ratio is that of the medians of two things that were measured in the same run.
"""


@dataclass(frozen=True)
class Figure:
    """What was measured, `ours` in `unit` some times over, and the same of what it is put `beside`.

    `aim` is the most that the ratio may be, or, where nothing is beside, that the median may be; None where there is
    none to be met. `number` orders the table.
    """

    number: int
    what: str
    unit: str
    ours: Sequence[float]
    beside: str = ""
    theirs: Sequence[float] = ()
    aim: float | None = None

    @property
    def result(self) -> float:
        return statistics.median(self.ours) / (statistics.median(self.theirs) if self.theirs else 1)

    @property
    def met(self) -> bool:
        return self.aim is None or self.result <= self.aim

    def cells(self) -> tuple[str, ...]:
        result = f"{self.result:.3g}{'' if self.theirs else ' ' + self.unit}"
        aim = "" if self.aim is None else f"≤ {self.aim:g}{'' if self.met else ', missed'}"
        return self.what, self.unit, shown(self.ours), self.beside, shown(self.theirs), result, aim


def shown(values: Sequence[float]) -> str:
    """Return median and spread of some values, with three digits."""
    if not values:
        return ""
    low, middle, high = map(_number, (min(values), statistics.median(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


# Whoever is told to end ends what he started.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def record(*figures: Figure) -> bool:
    """Print figures, and put them into RESULTS.json and RESULTS.md in the place of older ones of their names; those of
    another machine go. Returns whether all aims are met."""
    for figure in figures:
        print(*filter(None, figure.cells()), sep=" | ", flush=True)
    machine = describe_machine()
    try:
        published = json.loads(JSON_FILE.read_text())
    except FileNotFoundError:
        published = {}
    older = published.get("figures", []) if published.get("machine") == machine else []
    fresh = [asdict(figure) | {"measured": time.strftime("%Y-%m-%d", time.gmtime())} for figure in figures]
    names = {figure.what for figure in figures}
    everything = sorted([*(entry for entry in older if entry["what"] not in names), *fresh], key=itemgetter("number"))
    published = {"machine": machine, "figures": everything}
    JSON_FILE.write_text(json.dumps(published, indent=1, ensure_ascii=False) + "\n")
    MARKDOWN_FILE.write_text(render(published))
    return all(figure.met for figure in figures)


def render(published: dict[str, Any]) -> str:
    """Return the Markdown page of what is published."""
    head = ("what", "in", "heldar-mirror", "beside", "theirs", "ratio", "aim")
    figures = [{key: entry[key] for key in entry if key != "measured"} for entry in published["figures"]]
    rows = [head, ("---",) * len(head), *(Figure(**figure).cells() for figure in figures)]
    days = sorted({entry["measured"] for entry in published["figures"]})
    facts = "\n".join(f"- {name}: {value}" for name, value in published["machine"].items())
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{HEAD}\n{facts}\n- measured: {' to '.join(dict.fromkeys((days[0], days[-1])))}\n\n{table}\n"


def describe_machine() -> dict[str, str]:
    """Return what the figures depend on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    ffmpeg = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
    return {
        "processor": f"{os.cpu_count()} x {model[1] if model else platform.machine()}",
        "memory": f"{pages * size / 2**30:.0f} GiB",
        "system": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}",
        "software": f"Python {platform.python_version()}, supervisor {version('supervisor')}, ffmpeg {ffmpeg}",
    }


def private_dirty(pids: Iterable[int]) -> int:
    """Return the private dirty memory of processes, in KiB."""
    total = 0
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_Dirty:"))
    return total


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor time that processes that run have used, all threads, to the nanosecond."""
    tasks = (task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def cpu_with_ended_children(pid: int) -> float:
    """Return the processor time of a process and of its children that ended, to a hundredth of a second; 0 if it is
    gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # its parent's by now
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def with_children(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(FileNotFoundError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found
