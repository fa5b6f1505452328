"""f2r train"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from f2rcli import EXIT_UNANSWERED


@click.group("train")
def group() -> None:
    """Train checkpoints by recipes."""


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every stage takes."""
    for option in (
        click.option(
            "--device", type=click.Choice(["cpu", "cuda"]), help="Default: cuda if it is there."
        ),
        click.option(
            "--data-root", type=click.Path(path_type=Path), help="Where data lies (or F2R_DATA)."
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            help="The folder of what comes of it. Default: runs/STAGE/RECIPE.",
        ),
        click.option(
            "--config",
            required=True,
            metavar="RECIPE",
            help="A shipped recipe's name (training/recipes; a wrong one lists them), or a file.",
        ),
    ):
        command = option(command)
    return command


@group.command("sft")
@options
def sft(config: str, out: Path | None, data_root: Path | None, device: str | None) -> None:
    """Fine-tune a checkpoint on dialogues, queries and their gold answers.

    The same command goes on from the last complete state of an interrupted training. Several
    processes: `accelerate launch -m f2rcli train sft --config RECIPE`.
    """
    from f2rcli.training.recipe import SftRecipe, load_recipe

    recipe = load_recipe(config, SftRecipe)  # before torch is imported: a typing error costs no seconds
    from f2rcli.training.sft import train

    _run(train, recipe, out or Path("runs/sft") / recipe.name, data_root, device)


@group.command("grpo")
@options
def grpo(config: str, out: Path | None, data_root: Path | None, device: str | None) -> None:
    """Train an SFT model on by the rewards of its own answers, in the order of a curriculum.

    The same command goes on from the last complete state of an interrupted training. Several
    processes: `accelerate launch -m f2rcli train grpo --config RECIPE`.
    """
    from f2rcli.training.grpo.recipe import GrpoRecipe
    from f2rcli.training.recipe import load_recipe

    recipe = load_recipe(config, GrpoRecipe)
    from f2rcli.training.grpo.training import train

    _run(train, recipe, out or Path("runs/grpo") / recipe.name, data_root, device)


def _run(
    train: Callable[..., Path | None], recipe: Any, out: Path, data_root: Path | None, device: str | None
) -> None:
    from f2rcli.progress import Reporter

    reporter = Reporter(quiet=False)
    with reporter.run("steps") as progress:
        checkpoint = train(recipe, out, data_root, device, reporter.note, progress)
    if checkpoint:  # None in all processes of a launch but the first
        click.echo(f"checkpoint: {checkpoint}")


@group.command("curriculum")
@options
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    help="Answers to the recipe's data with log-probabilities, instead of asking the model.",
)
def curriculum(
    config: str,
    out: Path | None,
    data_root: Path | None,
    device: str | None,
    predictions: Path | None,
) -> int:
    """Order the samples of GRPO by their difficulty for the SFT model.

    The model answers every request first, which the same command goes on with where it was
    interrupted; what failed with an error is asked again.
    """
    from f2rcli.progress import Reporter
    from f2rcli.training.curriculum.recipe import CurriculumRecipe
    from f2rcli.training.recipe import load_recipe

    recipe = load_recipe(config, CurriculumRecipe)
    from f2rcli.results.render import console
    from f2rcli.training.curriculum.making import make
    from f2rcli.training.curriculum.table import print_curriculum

    reporter = Reporter(quiet=False)
    place = out or Path("runs/curriculum") / recipe.name
    with reporter.run("answers") as progress:
        made = make(recipe, place, data_root, device, predictions, reporter.note, progress)
    if made.curriculum is None:
        unit, why = next(iter(made.unanswered.items()))
        line = f"{len(made.unanswered)} unanswered, such as {unit}: {why}; the same command asks again"
        click.echo(f"f2r: {line}", err=True)
        return EXIT_UNANSWERED
    print_curriculum(made.curriculum, made.notes, console())
    click.echo(f"curriculum: {made.file}")
    return 0


@group.command("rewards")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--recipe", required=True, help="Whose rewards: the name or file of a recipe with a table [rewards]."
)
@click.option(
    "--encoder",
    metavar="NAME",
    help="For order similarity: a name or hf:PATH. Default: the recipe's, or that of the run.",
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    help="Where a bare file's image paths start from, beside its own folder (or F2R_DATA).",
)
@click.option("--allow-outside-images", is_flag=True, help="Let its image paths leave these folders.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Completions in the table; the means are over all.",
)
@click.option(
    "--json", "json_to", metavar="FILE", help="One JSON line a completion; - is standard output."
)
def rewards(
    file: Path,
    recipe: str,
    encoder: str | None,
    data_root: Path | None,
    allow_outside_images: bool,
    limit: int,
    json_to: str | None,
) -> None:
    """Print what a recipe's rewards give to the answers in FILE, without any model.

    FILE is a prediction file (ours or the authors' format) or a run folder. Gold, dialogues and image
    paths are in it.
    """
    from f2rcli.progress import Reporter
    from f2rcli.results.render import console, print_rows
    from f2rcli.results.writing import replacing
    from f2rcli.training.rewarded import basis, rewarded, table
    from f2rcli.training.rewards import load_rewards

    if json_to and Path(json_to).resolve() == file.resolve():
        raise click.UsageError("--json is the file whose answers are to be rewarded")
    weights, named = load_rewards(recipe)
    with Reporter(quiet=False).run(f"embedding {file}") as progress:
        found = rewarded(
            file,
            weights,
            encoder or named,
            data_root,
            allow_outside=allow_outside_images,
            note=lambda line: click.echo(f"f2r: {line}", err=True),
            on_progress=progress,
        )
    if json_to == "-":
        for one in found:
            click.echo(one.line(), nl=False)
        return
    if json_to:
        with replacing(Path(json_to)) as written:
            written.writelines(one.line() for one in found)
    headers, rows = table(found, limit)
    print_rows(headers, rows, console(), numbers=range(1, len(headers) - 1))
    console().print(basis(found, weights), style="dim", soft_wrap=True)
