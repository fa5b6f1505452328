"""Records and prediction lines in the official format, written without the code that reads them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PICTURE = "🖼"  # stands for the dialogue's next picture in a turn
EMPTY = "<|utt_ids_start|>[]<|utt_ids_end|>;<|img_ids_start|>[]<|img_ids_end|>"


def content(*turns: str, query: str = "小猫", start: int = 0) -> str:
    """A user message about these turns (`user1: 你好 🖼`), the first one numbered `start`."""
    lines = [f"<|utt_id_start|>{n}<|utt_id_end|> {turn}" for n, turn in enumerate(turns, start)]
    text, *after = "\n".join(lines).split(PICTURE)
    for image, rest in enumerate(after):
        text += f"<|img_id_start|>{image}<|img_id_end|><image>{rest}"
    return f"找出与查询 <|query_start|>{query}<|query_end|> 有关的发言和图片。\n对话内容: {text}"


def answer(utterances: Sequence[int] = (), images: Sequence[int] = ()) -> str:
    return (
        f"<|utt_ids_start|>{list(utterances)}<|utt_ids_end|>;"
        f"<|img_ids_start|>{list(images)}<|img_ids_end|>"
    )


def record(*turns: str, gold: str | None = EMPTY, query: str = "小猫", **more: Any) -> dict[str, Any]:
    """A record of these turns; `more` replaces or adds keys."""
    messages = [{"role": "user", "content": content(*turns, query=query)}]
    paths = [f"图片/{k}.jpg" for k in range("".join(turns).count(PICTURE))]
    made: dict[str, Any] = {"messages": messages, "images": paths, "dialogue_id": "对话"}
    if gold is not None:
        messages.append({"role": "assistant", "content": gold})
        made["solution"] = gold
    return made | more


def line(
    *turns: str, response: str = EMPTY, labels: str = EMPTY, query: str = "小猫", **more: Any
) -> dict[str, Any]:
    """A prediction for these turns: its assistant's turn repeats the response."""
    made = record(*turns, gold=None, query=query)
    made["messages"].append({"role": "assistant", "content": response})
    return {"response": response, "labels": labels} | made | more


def write(path: Path, *values: Any) -> Path:
    """These values as JSON Lines."""
    lines = [json.dumps(value, ensure_ascii=False) + "\n" for value in values]
    path.write_text("".join(lines), encoding="utf-8")
    return path
