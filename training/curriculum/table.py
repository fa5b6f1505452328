"""A curriculum in the terminal."""

from statistics import fmean

from rich.console import Console

from f2rcli.results.cells import percent
from f2rcli.results.render import print_rows
from f2rcli.training.curriculum.difficulty import DROPPED_IF_EMPTY, Curriculum, Sample

HEADERS = ["class", "samples", "dropped", "kept", "mean F1, %", "mean entropy"]


def print_curriculum(curriculum: Curriculum, notes: list[str], to: Console) -> None:
    """A line a class: how many samples, those dropped because nothing matches, those kept, and the
    means over all samples of the class; then the quartiles."""
    rows = []
    for name, samples in curriculum.classes.items():
        dropped = sum(s.empty for s in samples) if name in DROPPED_IF_EMPTY else 0
        rows.append([name, *_counts(samples, dropped, len(curriculum.kept[name])), *_means(samples)])
    kept = sum(map(len, curriculum.kept.values()))
    dropped = sum(int(row[2]) for row in rows)
    everything = list(curriculum.samples)
    rows.append(["all", *_counts(everything, dropped, kept), *_means(everything)])
    print_rows(HEADERS, rows, to, numbers=range(1, len(HEADERS)))
    f1 = ", ".join(map(percent, curriculum.quartiles.f1))
    entropy = ", ".join(f"{value:.3f}" for value in curriculum.quartiles.entropy)
    for line in (f"quartiles: F1 {f1}; entropy {entropy}", *notes):
        to.print(line, style="dim", soft_wrap=True)


def _counts(samples: list[Sample], dropped: int, kept: int) -> list[str]:
    return [str(len(samples)), str(dropped), str(kept)]


def _means(samples: list[Sample]) -> list[str]:
    if not samples:
        return ["–", "–"]
    return [percent(fmean(s.f1 for s in samples)), f"{fmean(s.entropy for s in samples):.3f}"]
