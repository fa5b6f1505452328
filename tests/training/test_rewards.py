"""The rewards of a recipe: their table, their sum, and where their vectors come from."""

from dataclasses import asdict, fields
from pathlib import Path

import pytest
from flat import Flat
from official import EMPTY, answer, record

from f2rcli.adapters.encoders import encoder
from f2rcli.results.selection import Selection
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.records import parse_record
from f2rcli.training.rewards import REWARDS, Rewards, RewardWeights, load_rewards, vectors_for

(REQUEST,) = parse_record(record("user1: 你好", "user2: 看 🖼", gold=answer([0, 1], [0]))).requests


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_every_reward_has_a_weight() -> None:
    assert [field.name for field in fields(RewardWeights)] == list(REWARDS)


def test_the_table_of_a_recipe_is_read_whatever_else_it_has(tmp_path: Path) -> None:
    file = write(tmp_path / "我的.toml", 'stage = "grpo"\ncolour = 1\n[rewards]\nf1 = 1\nformat = 0.3\n')
    assert load_rewards(file) == (RewardWeights(f1=1, format=0.3), None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[rewards]\nf2 = 1", "rewards.f2 is no key; keys are f1, order_similarity, format, "),
        ("[rewards]\nf1 = -1", "rewards.f1 -1 is not a number from 0"),
        ("[rewards]\nf1 = true", "rewards.f1 True is not a number from 0"),
        ("[rewards]\nf1 = nan", "rewards.f1 nan is not a number from 0"),
        ("[rewards]\nf1 = 0\nmcc = 0.0", "rewards needs a weight above 0"),
        ("[rewards]", "rewards needs a weight above 0"),
        ("rewards = 1", "rewards 1 is no table"),
        ('stage = "sft"', "no table rewards in it"),
        ("[rewards", "not TOML"),
    ],
)
def test_a_bad_table_is_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    file = write(tmp_path / "坏.toml", text)
    with pytest.raises(InputError) as caught:
        load_rewards(file)
    assert str(caught.value).startswith(f"{file}: {complaint}")


def test_a_recipe_that_is_not_there_or_has_no_rewards() -> None:
    with pytest.raises(InputError, match="no such recipe"):
        load_rewards("nonesuch")
    with pytest.raises(InputError, match=r"nano-sft\.toml: no table rewards"):
        load_rewards("nano-sft")


def test_values_come_without_weights_and_the_total_with_them() -> None:
    rewards = Rewards(asdict(RewardWeights(f1=2, format=0.3)), None)
    assert rewards.names == ("f1", "format")
    found = rewards.of([answer([0, 1], [0]), answer([0, 1]), answer([0, 0, 1, 1], [0]), "无"], REQUEST)
    # 2 of 4 listed are right: precision 1/2, recall 1, two too many
    third = (2 / 3 * 0.95**2 + 1) / 2
    assert found == {"f1": [1, 0.5, pytest.approx(third), 0], "format": [1, 1, 0, 0]}
    assert rewards.total(found) == pytest.approx([2.3, 1.3, 2 * third, 0])
    assert rewards.total(rewards.of([], REQUEST)) == []


@pytest.mark.parametrize("name", ["order_similarity", "order_similarity_published"])
def test_order_similarity_is_not_silently_nothing(name: str) -> None:
    assert Rewards.needs_encoder({name: 1.0})
    assert not Rewards.needs_encoder({name: 0.0, "f1": 1.0})
    with pytest.raises(ValueError, match="embeddings"):
        Rewards({name: 0.5}, None)
    Rewards({name: 0.0, "f1": 1.0}, None)


def test_vectors_are_made_only_for_rewards_that_look_at_them(
    chats: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("F2R_CACHE", str(tmp_path / "嵌入"))
    flat = Flat()
    monkeypatch.setattr(encoder, "find_encoder", lambda name, **options: flat)
    selection = Selection.of(load_task(str(chats)), None, 0)
    assert vectors_for({"f1": 1.0, "order_similarity": 0.0}, selection) is None
    assert flat.read == []
    vectors = vectors_for({"order_similarity": 1.0}, selection)
    assert vectors
    assert vectors.encoder == "flat 平面"
    rewards = Rewards({"order_similarity": 1.0}, vectors)
    # every text of a chat is as long as the others, so that all point one way
    found = rewards.of([answer([0, 1, 3]), EMPTY], selection.requests[0])
    assert found == {"order_similarity": [pytest.approx(1), 0]}


def test_a_task_without_an_encoder_says_so() -> None:
    selection = Selection.of(load_task("example"), None, 0)
    with pytest.raises(InputError, match=r"no encoder is named for example; name one"):
        vectors_for({"order_similarity": 1.0}, selection)
