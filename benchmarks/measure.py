"""Figures: what was measured, beside something else in the same run, and the table of all figures in RESULTS.md."""

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

Written by `script/bench`; [docs/performance.md](../docs/performance.md) explains the figures. Each value is a median,
with the smallest and largest value in brackets. A ratio is that of two medians that were measured in the same run.
"""


@dataclass(frozen=True)
class Figure:
    """Several measurements of ours in `unit`, and of `theirs`, which `beside` names.

    `aim` is the largest allowed ratio of the medians or, without `theirs`, the largest allowed median; the smallest
    allowed one if `more_is_better`. None means that there is no aim. `number` orders the table.
    """

    number: int
    what: str
    unit: str
    ours: Sequence[float]
    beside: str = ""
    theirs: Sequence[float] = ()
    aim: float | None = None
    more_is_better: bool = False

    @property
    def result(self) -> float:
        return statistics.median(self.ours) / (statistics.median(self.theirs) if self.theirs else 1)

    @property
    def met(self) -> bool:
        if self.aim is None:
            return True
        return self.result >= self.aim if self.more_is_better else self.result <= self.aim

    def cells(self) -> tuple[str, ...]:
        result = f"{self.result:.3g}{'' if self.theirs else ' ' + self.unit}"
        sign = "≥" if self.more_is_better else "≤"
        aim = "" if self.aim is None else f"{sign} {self.aim:g}{'' if self.met else ', missed'}"
        return self.what, self.unit, shown(self.ours), self.beside, shown(self.theirs), result, aim


def shown(values: Sequence[float]) -> str:
    """Return median and range of some values, with three digits."""
    if not values:
        return ""
    low, middle, high = map(_number, (min(values), statistics.median(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


# Exit at SIGTERM by an exception, so that context managers end what they started.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def record(*figures: Figure) -> bool:
    """Print figures, and write them to RESULTS.json and RESULTS.md. Return whether all aims are met.

    They replace older figures of the same names. All figures of a different machine are removed.
    """
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
    """Return the Markdown page of the published figures."""
    head = ("what", "in", "heldar-mirror", "beside", "theirs", "ratio", "aim")
    figures = [{key: entry[key] for key in entry if key != "measured"} for entry in published["figures"]]
    rows = [head, ("---",) * len(head), *(Figure(**figure).cells() for figure in figures)]
    days = sorted({entry["measured"] for entry in published["figures"]})
    facts = "\n".join(f"- {name}: {value}" for name, value in published["machine"].items())
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{HEAD}\n{facts}\n- measured: {' to '.join(dict.fromkeys((days[0], days[-1])))}\n\n{table}\n"


def describe_machine() -> dict[str, str]:
    """Return the facts about this machine that the figures depend on."""
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
    """Return the processor time of all threads of running processes, in seconds, exact to the nanosecond."""
    tasks = (task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def cpu_with_ended_children(pid: int) -> float:
    """Return the processor time of a process and of its ended children, in seconds, exact to a hundredth.

    Return 0 if the process is gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # its parent's time includes it by now
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def with_children(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(FileNotFoundError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found
