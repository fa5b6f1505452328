"""The requests that a command's tasks and options choose."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from f2rcli.progress import Reporter
    from f2rcli.results.selection import Selection


def default_tasks(options: dict[str, Any], reporter: "Reporter") -> list[str]:
    """mldr and wechat, or the one of them whose data is there, saying so."""
    from f2rcli.tasks.datasets import DEFAULT_TASKS, default_tasks

    there, missing = default_tasks(options["data_root"])
    if there and missing:
        reporter.note(f"{' '.join(missing)}: no data; see `f2r tasks`")
    return there or list(DEFAULT_TASKS)


def selections_of(tasks: "Iterable[str]", options: dict[str, Any]) -> "list[Selection]":
    """Every task read before any model is loaded, so that bad data costs seconds."""
    from f2rcli.results.selection import Selection
    from f2rcli.tasks.datasets import load_tasks
    from f2rcli.tasks.probes import Probe
    from f2rcli.tasks.prompts import choose_template

    template = choose_template(options["prompt"], options["prompt_from"])
    loaded = load_tasks(
        dict.fromkeys(tasks),
        options["data_root"],
        allow_outside=options["allow_outside_images"],
        template=template,
    )
    probe = Probe(options["probe"], options["seed"]) if options["probe"] else None
    return [Selection.of(task, options["limit"], options["seed"], probe) for task in loaded]


def measured_selections(
    selections: "list[Selection]", options: dict[str, Any], reporter: "Reporter"
) -> "list[Selection]":
    """With the vectors that relevance and coherence are measured by."""
    from f2rcli.results.measuring import measured

    found = []
    for selection in selections:
        with reporter.run(f"embedding {selection.task.name}") as progress:
            found.append(measured(selection, options["encoder"], options["device"], progress))
    return found
