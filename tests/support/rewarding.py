"""A request with known vectors, and rewards of one completion of it."""

from collections.abc import Sequence

from flat import at
from official import answer, record

from f2rcli.tasks.records import parse_record
from f2rcli.tasks.similarity import Vectors
from f2rcli.tasks.types import Request
from f2rcli.training.rewards import REWARDS

# utterances 0..6, of which 6 is a picture message, and 3 and 6 carry images 0, 1 and 2
TURNS = (
    "user1: 零度",
    "user2: 六十",
    "user1: 九十",
    "user2: 看 🖼🖼",
    "user1: 百二",
    "user2: 负零",
    "user1: 🖼",
)
ANGLES = {"零度": 0, "六十": 60, "九十": 90, "看": 150, "百二": 120, "负零": 180, "小猫": 0}
VECTORS = Vectors(
    *("平面", "0" * 64),
    {text: at(angle) for text, angle in ANGLES.items()},
    {f"图片/{i}.jpg": at(angle) for i, angle in enumerate((200, 240, 280))},
)


def asked(utterances: Sequence[int] = (), images: Sequence[int] = (), *turns: str) -> Request:
    """A request about these turns with this gold fragment."""
    (request,) = parse_record(record(*(turns or TURNS), gold=answer(utterances, images))).requests
    return request


def one(name: str, completion: str, request: Request) -> float:
    [value] = REWARDS[name]([completion], request, VECTORS)
    return value
