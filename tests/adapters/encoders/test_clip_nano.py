"""The encoder that comes along: it knows the drawn things by their words, in both languages."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from f2rcli.adapters.checkpoints import find_checkpoint
from f2rcli.adapters.encoders.encoder import find_encoder
from f2rcli.tasks.mini.pictures import draw
from f2rcli.tasks.mini.words import LANGUAGES, topics


def test_it_is_small() -> None:
    folder = find_checkpoint("package:clip-nano")
    assert sum(file.stat().st_size for file in folder.iterdir()) < 6e6


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_picture_is_nearest_to_what_it_is_called(language: str, tmp_path: Path) -> None:
    known = [topic for topic in topics(language) if not topic.unseen]
    files = [tmp_path / f"{number}.png" for number in range(len(known))]
    for file, topic in zip(files, known, strict=True):
        draw(topic.thing, Random(f"{language} 没见过 {topic.thing}")).save(file)
    encoder = find_encoder("clip-nano")
    shown = np.array([one.vector for one in encoder.images(files)])
    said = np.array([one.vector for one in encoder.texts([topic.words[0] for topic in known])])
    nearest = (shown @ said.T).argmax(1)
    assert np.mean(nearest == np.arange(len(known))) > 0.9
