"""Build the set on which the shipped cut-off of `bm25` was chosen: `python bm25_cutoff.py OUT.json`.

Needs `pip install chitchat-dataset==0.9.0` (MIT). The first 20 turns of its last 84 conversations of
at least 8 are interleaved three at a time in runs of 1 to 5 turns; the query is a turn of over 20
characters taken out of one conversation, the gold fragment is the rest of that conversation. Raw
chats, no pictures.
"""

import json
import random
import sys
from pathlib import Path

from chitchat_dataset import Dataset


def conversations() -> list[list[str]]:
    everything = [
        [" ".join(message["text"] for message in turn).strip() for turn in chat["messages"]]
        for chat in Dataset().values()
    ]
    return [[turn for turn in chat if turn][:20] for chat in everything if len(chat) >= 8][-84:]


def interleave(chats: list[list[str]], number: int, rng: random.Random) -> dict[str, object]:
    asked = rng.randrange(3)
    long_turns = [turn for turn in chats[asked] if len(turn) > 20]
    query = rng.choice(long_turns or chats[asked])
    left = [list(chat) for chat in chats]
    left[asked].remove(query)
    turns: list[tuple[int, str]] = []
    while any(left):
        source = rng.choice([i for i, chat in enumerate(left) if chat])
        length = rng.randint(1, 5)
        turns += [(source, turn) for turn in left[source][:length]]
        del left[source][:length]
    return {
        "dialogue_id": f"chat{number:02d}",
        "dialogue": [
            {"utterance_idx": i, "speaker": f"User{1 + i % 2}", "utterance": text}
            for i, (_, text) in enumerate(turns)
        ],
        "query_text": query,
        "gt_turns": [i for i, (source, _) in enumerate(turns) if source == asked],
    }


def main() -> None:
    rng = random.Random(0)
    chats = conversations()
    rng.shuffle(chats)
    threes = [chats[i : i + 3] for i in range(0, len(chats), 3)]
    made = [interleave(three, number, rng) for number, three in enumerate(threes)]
    Path(sys.argv[1]).write_text(json.dumps(made, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
