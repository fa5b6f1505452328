"""Comparisons and gates as text, as Markdown for a job summary, and as JSON."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console

from f2rcli.results.bootstrap import FEW_DIALOGUES, Difference
from f2rcli.results.cells import HEADERS, percent, points
from f2rcli.results.compare import Comparison, failures_of
from f2rcli.results.gate import Gate
from f2rcli.results.outcomes import Side
from f2rcli.results.render import print_rows
from f2rcli.tasks.metrics import NAMES
from f2rcli.tasks.visible import visible

SHOWN = (*(f"joint.{name}" for name in NAMES), "utterance.f1", "image.f1")


def interval(difference: Difference) -> str:
    return f"[{points(difference.low)}, {points(difference.high)}]"


def print_comparison(comparison: Comparison, flips: int, to: Console) -> None:
    """The main metrics, and up to `flips` requests that flipped each way."""
    for head, side in (("base", comparison.base), ("new ", comparison.new)):
        to.print(f"{head}  {_called(side)}", soft_wrap=True)
    holm = any(d.p_holm is not None for d in comparison.differences.values())
    headers = ["%", "base", "new", "difference", "95 % interval", "p"]
    headers += ["p (Holm)"] * holm + ["detectable"]
    rows = []
    for name in SHOWN:
        found = comparison.differences[name]
        part, metric = name.split(".")
        ps = [found.p] if found.p_holm is None else [found.p, found.p_holm]
        row = [f"{part} {HEADERS[metric]}", percent(found.base), percent(found.new), points(found.value)]
        row += [interval(found), *(f"{p:.4f}" for p in ps), percent(found.detectable)]
        rows.append(row)
    print_rows(headers, rows, to, numbers=range(1, len(headers)))
    for line in [*_flips(comparison, flips), *remarks(comparison)]:
        to.print(visible(line), soft_wrap=True)
    to.print(basis(comparison), style="dim", soft_wrap=True)


def _called(side: Side) -> str:
    return f"{side.name} ({side.source})" if side.name != str(side.source) else side.name


def basis(comparison: Comparison) -> str:
    kind = "synthetic, " if comparison.synthetic else ""
    return (
        f"{len(comparison.pairs)} requests of {comparison.dialogues} dialogues, {kind}"
        f"{comparison.protocol} protocol, micro average; {comparison.resamples:,} resamples of "
        f"dialogues, seed {comparison.seed}"
    )


def _flips(comparison: Comparison, number: int) -> Iterator[str]:
    counted = ", ".join(f"{n} {how}" for how, n in comparison.wins().items())
    flips = comparison.flips()
    flipped = ", ".join(f"{len(pairs)} {how}" for how, pairs in flips.items())
    yield f"joint F1 of each request: {counted}; exact answers: {flipped}"
    for how, pairs in flips.items():
        for pair in pairs[:number]:
            yield f"  {how:<6}  {comparison.show_command(pair)}"


def remarks(comparison: Comparison) -> Iterator[str]:
    """Whatever keeps the numbers from speaking for themselves."""
    for what in comparison.forced:
        yield f"forced: {what}"
    sides = [failures_of(side) for side in zip(*comparison.outcomes(), strict=True)]
    if any(any(side.values()) for side in sides):
        told = [_failures(side, len(comparison.pairs)) for side in sides]
        yield f"failures: base {told[0]}; new {told[1]}"
    if comparison.dialogues < FEW_DIALOGUES:
        yield f"fewer than {FEW_DIALOGUES} dialogues: they say nothing about others"
    yield from comparison.stated
    yield from dict.fromkeys((*comparison.base.notes, *comparison.new.notes))


def _failures(counted: dict[str, int], requests: int) -> str:
    told = [f"{n} {kind}" for kind, n in counted.items() if n and kind != "unanswered"]
    if counted["unanswered"]:
        told.append(f"coverage {percent(1 - counted['unanswered'] / requests)} %")
    return ", ".join(told) or "none"


def gate_text(gate: Gate) -> str:
    """A few lines: the verdict, and what it rests on."""
    comparison = gate.comparison
    lines = [f"gate {_verdict(gate)}: {_called(comparison.new)} against {_called(comparison.base)}"]
    for check in gate.checks:
        found = check.difference
        lines.append(
            f"  {check.metric} {points(found.value)} {interval(found)} points, may drop by "
            f"{percent(check.margin)}: {check.verdict}"
        )
    lines += [f"  {line}" for line in (*_risen(gate), *remarks(comparison), basis(comparison))]
    return "\n".join(lines)


def _verdict(gate: Gate) -> str:
    return "passed" if gate.passed else "failed"


def _risen(gate: Gate) -> Iterator[str]:
    for kind, (before, after) in gate.risen.items():
        yield f"{kind}: {before} before, {after} now"


def gate_markdown(gate: Gate) -> str:
    """The same as a section of a job summary."""
    comparison = gate.comparison
    base, new = (side.name.replace("`", "'") for side in (comparison.base, comparison.new))
    lines = [
        f"### f2r gate {_verdict(gate)}: `{new}` against `{base}`",
        "",
        "| metric | base | new | difference | 95 % interval | may drop by | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for check in gate.checks:
        found = check.difference
        cells = [check.metric, percent(found.base), percent(found.new), points(found.value)]
        cells += [interval(found), percent(check.margin), check.verdict]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"- {line}" for line in (*_risen(gate), *remarks(comparison), basis(comparison)))]
    return "\n".join(lines) + "\n"


def as_json(comparisons: list[Comparison], gates: list[Gate]) -> dict[str, Any]:
    """Everything, as fractions at full precision; `gates` is empty or has one a comparison."""
    first = comparisons[0]
    made: dict[str, Any] = {
        "protocol": first.protocol,
        "average": "micro",
        "synthetic": any(one.synthetic for one in comparisons),
        "forced": any(one.forced for one in comparisons),
        "resamples": first.resamples,
        "seed": first.seed,
        "base": {"name": first.base.name, "path": str(first.base.source)},
        "comparisons": [_comparison_json(one) for one in comparisons],
    }
    if gates:
        made["gate"] = {"passed": all(gate.passed for gate in gates)}
        for one, gate in zip(made["comparisons"], gates, strict=True):
            one["gate"] = _gate_json(gate)
    return made


def _comparison_json(comparison: Comparison) -> dict[str, Any]:
    sides = zip(("base", "new"), zip(*comparison.outcomes(), strict=True), strict=True)
    return {
        "name": comparison.new.name,
        "path": str(comparison.new.source),
        "requests": len(comparison.pairs),
        "dialogues": comparison.dialogues,
        "differences": {
            name: {**asdict(found), "difference": found.value}
            for name, found in comparison.differences.items()
        },
        "by_request": comparison.wins(),
        "flips": {
            how: [{"request": pair.new.request, "show": comparison.show_command(pair)} for pair in pairs]
            for how, pairs in comparison.flips().items()
        },
        "failures": {side: failures_of(outcomes) for side, outcomes in sides},
        "forced": list(comparison.forced),
        "stated": list(comparison.stated),
        "notes": list(dict.fromkeys((*comparison.base.notes, *comparison.new.notes))),
    }


def _gate_json(gate: Gate) -> dict[str, Any]:
    return {
        "passed": gate.passed,
        "checks": [
            {
                "metric": check.metric,
                "margin": check.margin,
                "passed": check.passed,
                "verdict": check.verdict,
            }
            for check in gate.checks
        ],
        "risen": {kind: {"base": before, "new": after} for kind, (before, after) in gate.risen.items()},
    }
