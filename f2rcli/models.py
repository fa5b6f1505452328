"""f2r models, f2r tasks"""

from pathlib import Path

import click


@click.command("models")
@click.option("--registry", type=click.Path(path_type=Path), help="Model rows of your own (TOML).")
def models(registry: Path | None) -> None:
    """List the models that have a name."""
    from f2rcli.adapters.registry import load_rows
    from f2rcli.results.render import console, print_rows

    def line(name: str) -> list[str]:
        row = rows[name]
        sizes = ", ".join(f"{name}:{size}" for size in row.sizes)
        source = str(row.settings.get("checkpoint", ""))
        return [name, row.kind, row.trained, "; ".join(filter(None, [row.about, source, sizes]))]

    rows = load_rows(registry)
    print_rows(["model", "kind", "trained", "what it is"], map(line, rows), console())
    click.echo("\nAny other checkpoint: hf:PATH. A class of your own: file.py:Class.")


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
