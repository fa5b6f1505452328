"""Which encoder measures the relevance and coherence of a selection's fragments."""

from collections.abc import Callable
from dataclasses import replace

from f2rcli.results.selection import Selection
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.similarity import NO_ENCODER

Progress = Callable[[int, int], None]


def measured(
    selection: Selection,
    encoder: str | None,
    device: str | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Selection:
    """The selection with its texts and pictures as vectors of the encoder, or of its task's own.

    Where the task's own cannot be had, or pictures are not there, it comes back without vectors and
    with the reason. Raises InputError for an encoder that was asked for.
    """
    try:
        return embedded(selection, encoder, device, on_progress)
    except InputError as error:
        if encoder is not None:
            raise
        return replace(selection, unmeasured=f"relevance and coherence are not measured: {error}")


def embedded(
    selection: Selection,
    encoder: str | None,
    device: str | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Selection:
    """As `measured`, but whatever is not there is an InputError. The task's own encoder is not
    downloaded; without any (`none`) there are no vectors."""
    name = encoder or selection.task.encoder
    if name == NO_ENCODER:
        return replace(selection, task=replace(selection.task, encoder=name))
    from f2rcli.adapters.encoders.embed import embed
    from f2rcli.adapters.encoders.encoder import find_encoder

    found = find_encoder(name, device=device, fetch=encoder is not None)
    # a fragment is of the pictures that are there, whatever a probe shows to the model
    unprobed = replace(selection, probe=None).with_images()
    vectors = embed(found, unprobed.requests, on_progress)
    return replace(selection, task=replace(selection.task, encoder=found.name), vectors=vectors)
