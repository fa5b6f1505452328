"""Options that none of the chosen models uses are refused: they would look as if they did something."""

from collections.abc import Iterable

import click
from click.core import ParameterSource

HERE, API = ("transformers", "embedding"), ("openai", "anthropic")
USED_BY = {
    "device": (HERE, "models that run here"),
    "dtype": (HERE, "models that run here"),
    **dict.fromkeys(("batch_size", "exact"), (("transformers",), "models that are checkpoints")),
    "trust_remote_code": (("transformers",), "models that are checkpoints"),
    "max_pixels": (("transformers", *API), "models that are checkpoints or behind an API"),
    "max_new_tokens": (("transformers", *API), "models that are checkpoints or behind an API"),
    **dict.fromkeys(
        ("image_placement", "concurrency", "prices", "max_cost"), (API, "models behind an API")
    ),
}


def refuse_unused(kinds: Iterable[str], *, but: Iterable[str] = ()) -> None:
    """Raises UsageError for an option of the running command that is for other kinds of models; `but`
    has those that something else uses."""
    chosen, context = set(kinds), click.get_current_context()
    for name, (users, what) in USED_BY.items():
        given = context.get_parameter_source(name) == ParameterSource.COMMANDLINE
        if given and name not in but and not chosen & set(users):
            raise click.UsageError(f"--{name.replace('_', '-')} is for {what}")
