"""f2r retrieve"""

import json
from pathlib import Path

import click

from f2rcli import EXIT_UNANSWERED, unused


@click.command("retrieve")
@click.option(
    "-m",
    "--model",
    required=True,
    help="A name from `f2r models`, hf:PATH, embed:PATH, openai:NAME, anthropic:NAME, or file.py:Class.",
)
@click.argument("dialogue")
@click.argument("query")
@click.option("--id", "wanted", help="Which dialogue, where the file holds several.")
@click.option(
    "--prompt",
    help="en, zh or a file with {query} and {dialogue}. Default: by the query's language.",
)
@click.option(
    "--prompt-from",
    type=click.Path(path_type=Path),
    help="Take the prompt of this file's first record.",
)
@click.option("--registry", type=click.Path(path_type=Path), help="Model rows of your own (TOML).")
@click.option("--adapter", help="A LoRA adapter over the model's checkpoint.")
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with a checkpoint.")
@click.option("--device", help="cpu, cuda, cuda:1 …, or auto: over all GPUs.")
@click.option(
    "--top-k",
    type=click.IntRange(min=1),
    metavar="K",
    help="An embedding model takes the K nearest utterances and K nearest images.",
)
@click.option("--endpoint", metavar="URL", help="Where a model behind an API is; may need no key.")
@click.option("--allow-outside-images", is_flag=True, help="Let image paths leave the file's folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the fragment as JSON.")
def command(
    model: str,
    dialogue: str,
    query: str,
    wanted: str | None,
    prompt: str | None,
    prompt_from: Path | None,
    registry: Path | None,
    adapter: str | None,
    trust_remote_code: bool,
    device: str | None,
    top_k: int | None,
    endpoint: str | None,
    allow_outside_images: bool,
    as_json: bool,
) -> int:
    """Find the fragment of your own chat that belongs to QUERY.

    DIALOGUE is a raw chat (JSON): {"dialogue": [{"utterance_idx": 0, "speaker": "Ann", "utterance":
    "text" or [{"image_url": "photo.jpg"}]}, …]}. mini-chat and example are chats to try it on.
    """
    from f2rcli.adapters.ask import ask
    from f2rcli.adapters.registry import Settings, build, find_row, load_rows
    from f2rcli.adapters.retriever import UnfinishedError
    from f2rcli.adapters.rules import API_KINDS
    from f2rcli.results.render import console
    from f2rcli.results.show import show_fragment
    from f2rcli.tasks.chats import read_dialogue
    from f2rcli.tasks.datasets import load_task
    from f2rcli.tasks.images import ImageFolder
    from f2rcli.tasks.prompts import PromptTemplate, choose_template
    from f2rcli.tasks.visible import visible

    row = find_row(model, load_rows(registry))
    if adapter and row.kind != "transformers":
        raise click.UsageError("--adapter needs a model that is a checkpoint")
    if top_k and row.kind != "embedding":
        raise click.UsageError("--top-k needs a model of kind embedding")
    if endpoint is not None and row.kind not in API_KINDS:
        raise click.UsageError("--endpoint needs a model that is behind an API")
    unused.refuse_unused([row.kind])
    file = load_task(dialogue).path
    chat = read_dialogue(file, wanted)
    template = choose_template(prompt, prompt_from) or PromptTemplate.by_language()
    settings = Settings(
        adapter=adapter,
        device=device,
        endpoint=endpoint,
        top_k=top_k,
        trust_remote_code=trust_remote_code,
        note=lambda line: click.echo(line, err=True),
    )
    retriever = build(row, settings)
    images = ImageFolder((file.parent,), allow_outside_images)
    try:
        found = ask(retriever, chat, query, template, images)
    except UnfinishedError as ended:
        click.echo(f"f2r: {ended}", err=True)
        return EXIT_UNANSWERED
    for failure in found.failures:
        click.echo(f"f2r: {visible(' '.join(failure.split()))}", err=True)
    if as_json:
        ids = {name: sorted(getattr(found.fragment, name)) for name in ("utterances", "images")}
        click.echo(json.dumps(ids))
    elif found.fragment.size or not found.failures:
        show_fragment(chat, found.fragment, console())
    return EXIT_UNANSWERED if found.failures else 0
