"""The report: goals beside what was measured, all tables, one picture."""

from collections.abc import Iterator, Mapping
from math import log10
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.bench import recordings
from tests.bench.say import table

DOCS = Path(__file__).parents[2] / "docs"
SIZE, LEFT, TOP, RIGHT, BOTTOM = (860, 400), 70, 50, 330, 50
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
DECADES = (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)
IDLE = 0.1
"""Share of all cores below which a machine counts as idle."""
HEADINGS = {
    "cost": "CPU of an acknowledged event, store without fsync",
    "cost_fsync": "CPU of an acknowledged event, every write forced to disk",
    "latency": "Latency",
    "memory": "Memory and start",
    "growth": "Growth",
    "recordings": "Recordings",
}
NOTES = {
    "cost": "The server's user and system time for each 200, beside an empty aiohttp handler in the "
    "same run.\nWall-clock rates of a shared machine are orientation.",
    "cost_fsync": 'The same; the receiver has `durability = "disk"`.',
    "latency": "Milliseconds from the time at which a request was *due* to its complete answer, so "
    "that a stall is charged with all that would\nhave been sent meanwhile. `sent late` is how far the "
    "load itself was behind, or waited for a connection (more are opened while all are busy).\nLost and twice: acknowledged events that "
    "are missing on the stream, or there more than once, after the spool was empty.",
    "memory": "Store with every write forced to disk, default settings.",
    "recordings": "A real store without AOF; the vendor answers at once, so that our own work is measured.",
    "growth": 'Store without AOF, `durability = "memory"`; median of five rounds at each length.\n'
    "The dearest round is probably where the store doubles its table of keys: every command then moves a part of it.",
}


def goals(result: Mapping[str, Any]) -> Iterator[tuple[str, str, str, bool]]:
    """What is aimed at: words, the bound, the value, whether it is reached."""
    for key, says, most in (("cost", "", 1.25), ("cost_fsync", ", forced to disk", 1.5)):
        ratio = result[key]["servers"]["receiver"]["ratio"]
        yield f"CPU beside the empty handler{says}", f"{most} ×", f"{ratio:.2f} ×", ratio <= most
    rows = result["latency"]["situations"]
    p99 = rows["fsync"]["ms"]["99"]
    yield "p99 with every write forced to disk", "20 ms", f"{p99:.1f} ms", p99 <= 20
    for row in (row for row in rows.values() if row["stopped"]):
        most, took = row["hedge_after"] * 1000 + 500, row["ms"]["99.9"]
        hedge = f"hedge_after {row['hedge_after']:g} s"
        yield (
            f"p99.9 with the store stopped, {hedge}",
            f"{most:.0f} ms",
            f"{took:.0f} ms",
            took <= most,
        )
        bad = row["sent"] - row["statuses"].get("200", 0)
        yield f"answers other than 200 with the store stopped, {hedge}", "0", str(bad), bad == 0
    wrong = sum(row["lost"] + row["twice"] for row in rows.values())
    yield "acknowledged events lost or stored twice", "0", str(wrong), wrong == 0
    found = result["memory"]
    rest, ready = found["at_rest_mib"], found["ready_s"]
    yield "resident memory at rest", "64 MiB", f"{rest:.1f} MiB", rest <= 64
    beside = recordings.ratio(result["recordings"])
    yield "a round with 100 due, by open recordings", "1.2 ×", f"{beside:.2f} ×", beside <= 1.2
    scheduler = result["recordings"]["at_rest_mib"]
    yield "a scheduler at rest", "72 MiB", f"{scheduler:.1f} MiB", scheduler <= 72
    yield "from exec to ready, median", "1.0 s", f"{ready:.2f} s", ready <= 1.0


def render(result: Mapping[str, Any], parts: Mapping[str, ModuleType]) -> str:
    """The document."""
    rows = [
        [says, most, found, "yes" if ok else "**no**"] for says, most, found, ok in goals(result)
    ]
    text = ["# Measured", _conditions(result["conditions"]), "## Goals"]
    text.append(table(["what", "at most", "measured", "reached"], rows))
    for key, part in parts.items():
        heading, note = HEADINGS[key], NOTES[key]
        if key == "latency":
            heading += f" at {result[key]['rate']:g} events a second"
            note += "\n\n![Percentiles of the latency, by situation](measured.svg)"
        text += [f"## {heading}", note, part.show(result[key])]
    return "\n\n".join(text)


def _conditions(found: Mapping[str, Any]) -> str:
    typical, slow = found["fsync_ms"]
    machine = [
        ["command", f"`{found['command']}`"],
        ["date", found["date"]],
        ["cores", f"{found['cores']}; {found['placement']}"],
        ["kernel", found["kernel"]],
        ["Python", found["python"]],
        ["store", found["store"]],
        ["an fsync of 4 KiB on its disk", f"{typical:.2f} ms, slowest hundredth {slow:.2f} ms"],
        ["cores in use just before", f"{found['used_before']:.0%}"],
        ["other programs of the project seen meanwhile", ", ".join(found["busy"]) or "none"],
    ]
    made = 'Written by `make bench ARGS="all --write"`; run it again rather than edit this.\n'
    busy = found["busy"] or found["used_before"] > IDLE
    idle = "**Others used the machine as well.**" if busy else "It had nothing else to do."
    says = f"Times of one machine: compare ratios, and runs on the same machine. {idle}"
    return f"{made}{says}\n\n{table(['condition', 'value'], machine)}"


def write(text: str, result: Mapping[str, Any]) -> None:
    """`docs/measured.md` and `docs/measured.svg`."""
    (DOCS / "measured.md").write_text(text + "\n", encoding="utf-8")
    (DOCS / "measured.svg").write_text(picture(result["latency"]), encoding="utf-8")


def picture(found: Mapping[str, Any]) -> str:
    """Percentiles of every situation as lines, milliseconds on a logarithmic axis."""
    rows = list(found["situations"].values())
    names = list(rows[0]["ms"])
    width, height = SIZE
    steps = (width - LEFT - RIGHT) / (len(names) - 1)
    tall = height - TOP - BOTTOM
    low, high = log10(DECADES[0]), log10(DECADES[-1])

    def y(ms: float) -> float:
        return TOP + tall * (high - log10(max(ms, DECADES[0]))) / (high - low)

    out = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="12" fill="#222">'
        ),
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        (
            f'<text x="{LEFT}" y="24" font-size="15">Time to the answer at {found["rate"]:g} events a '
            "second, ms (logarithmic)</text>"
        ),
    ]
    for ms in DECADES:
        out.append(f'<path d="M{LEFT} {y(ms):.1f}H{width - RIGHT}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(ms) + 4:.1f}" text-anchor="end">{ms:g}</text>')
    for place, name in enumerate(names):
        label = "max" if name == "100" else f"p{name}"
        x = LEFT + place * steps
        out.append(f'<text x="{x:.1f}" y="{height - 25}" text-anchor="middle">{label}</text>')
    for number, row in enumerate(rows):
        colour = COLOURS[number % len(COLOURS)]
        places = [(LEFT + at * steps, y(row["ms"][name])) for at, name in enumerate(names)]
        line = " ".join(f"{x:.1f},{at:.1f}" for x, at in places)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{at:.1f}" r="3.5" fill="{colour}"/>' for x, at in places]
        x, at = width - RIGHT + 24, TOP + 20 + number * 34
        out.append(f'<path d="M{x} {at}h18" stroke="{colour}" stroke-width="3"/>')
        first, _, second = row["says"].partition(", ")
        out.append(f'<text x="{x + 26}" y="{at}">{first}</text>')
        out.append(f'<text x="{x + 26}" y="{at + 14}" fill="#666">{second}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"
