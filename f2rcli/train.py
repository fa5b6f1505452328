"""f2r train"""

from pathlib import Path

import click


@click.group("train")
def group() -> None:
    """Train checkpoints by recipes."""


@group.command("sft")
@click.option(
    "--config", required=True, metavar="RECIPE", help="A recipe's name or file; see training/recipes."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The training's folder. Default: runs/sft/RECIPE.",
)
@click.option("--data-root", type=click.Path(path_type=Path), help="Where data lies (or F2R_DATA).")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Default: cuda if it is there.")
def sft(config: str, out: Path | None, data_root: Path | None, device: str | None) -> None:
    """Fine-tune a checkpoint on dialogues, queries and their gold answers.

    The same command goes on from the last complete state of an interrupted training. Several
    processes: `accelerate launch -m f2rcli train sft --config RECIPE`.
    """
    from f2rcli.progress import Reporter
    from f2rcli.training.recipe import SftRecipe, load_recipe

    recipe = load_recipe(config, SftRecipe)  # before torch is imported: a typing error costs no seconds
    from f2rcli.training.sft import train

    reporter = Reporter(quiet=False)
    place = out or Path("runs/sft") / recipe.name
    with reporter.run("steps") as progress:
        checkpoint = train(recipe, place, data_root, device, reporter.note, progress)
    if checkpoint:  # None in all processes of a launch but the first
        click.echo(f"checkpoint: {checkpoint}")
