"""f2r models, f2r tasks"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from f2rcli.adapters.registry import ModelRow


@click.command("models")
@click.option("--registry", type=click.Path(path_type=Path), help="Model rows of your own (TOML).")
@click.option(
    "--check", metavar="NAME", help="Load this checkpoint and see whether its input is proved."
)
@click.option("--adapter", help="With --check: a LoRA adapter over the checkpoint.")
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with the checkpoint.")
@click.option("--device", help="With --check: cpu, cuda, cuda:1 …, or auto: over all GPUs.")
def models(registry: Path | None, check: str | None, **options: Any) -> int:
    """List the models that have a name, and how each was checked here.

    `tiny checkpoint`: its architecture, with random weights, in the tests; `real weights`: itself, in
    the tests. --check NAME (or hf:PATH) loads a checkpoint, asks it one request of the example, and
    plants two faults in its pictures: exit code 0 if it answers and both are caught, else 1.
    """
    from f2rcli.adapters.registry import load_rows
    from f2rcli.results.render import console, print_rows

    rows = load_rows(registry)
    if check is not None:
        return _check(check, rows, options)
    if any(options.values()):
        raise click.UsageError("--adapter, --trust-remote-code and --device go with --check")

    def line(name: str) -> list[str]:
        row = rows[name]
        sizes = ", ".join(f"{name}:{size}" for size in row.sizes)
        source = str(row.settings.get("checkpoint", ""))
        what = "; ".join(filter(None, [row.about, source, sizes]))
        return [name, row.kind, row.trained, row.checked, what]

    print_rows(["model", "kind", "trained", "checked here", "what it is"], map(line, rows), console())
    click.echo(
        "\nAny other checkpoint is hf:PATH, encoder embed:PATH, model behind an API openai:NAME or "
        "anthropic:NAME, class of your own file.py:Class."
    )
    return 0


def _check(name: str, rows: "dict[str, ModelRow]", options: dict[str, Any]) -> int:
    """One line for what is loaded, one a trial."""
    from f2rcli.adapters.registry import Settings, build, find_row

    row = find_row(name, rows)
    if row.kind != "transformers":
        what = f"--check is for vision-language checkpoints, and {name} is of kind {row.kind}"
        raise click.UsageError(what)
    from f2rcli.adapters.vlm import VLM
    from f2rcli.adapters.vlm.planting import check

    vlm = build(row, Settings(max_new_tokens=16, **options))
    assert isinstance(vlm, VLM)
    towers = ", ".join(dict.fromkeys(type(module).__name__ for module, _, _ in vlm.engine.audit.towers))
    click.echo(f"{name}: {vlm.base.config.model_type}, pictures heard at {towers}")
    parts = ", ".join(f"{part} {how}" for part, how in vlm.engine.described.items())
    click.echo(f"the engine: {parts}")
    trials = check(vlm)
    for _, line in trials:
        click.echo(line)
    return 0 if all(well for well, _ in trials) else 1


@click.command("tasks")
@click.option("--data-root", type=click.Path(path_type=Path), help="Where data lies (or F2R_DATA).")
@click.option("--lm-eval-path", is_flag=True, help="Only print the folder for lm_eval's --include_path.")
def tasks(data_root: Path | None, lm_eval_path: bool) -> None:
    """List the named tasks and whether their data is there."""
    if lm_eval_path:
        from importlib import resources

        click.echo(str(resources.files("f2rcli.tasks").joinpath("lm_eval")))
        return
    from f2rcli.results.render import console, print_rows
    from f2rcli.tasks.datasets import GROUPS, default_data_root, task_rows

    root, rows = data_root or default_data_root(), task_rows()

    def line(name: str) -> list[str]:
        row = rows[name]
        missing = row.source if row.made else f"not under {root.resolve()}: {row.source}"
        return [name, row.protocol, row.domain, str(row.find(root) or missing)]

    print_rows(["task", "protocol", "domain", "data"], map(line, rows), console())
    click.echo()
    for name, several in GROUPS.items():
        click.echo(f"--task {name} stands for {' and '.join(several)}.")
    click.echo("Any file of records or chats is a task too: --task chats.json, --task wechat=PATH.")
