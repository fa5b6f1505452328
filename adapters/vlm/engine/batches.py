"""Which requests are asked together: those of a dialogue, and of dialogues of about the same length."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from f2rcli.tasks.types import Request

ROWS = 16  # more win little, and what is unfinished in a batch is lost with an interruption
SHARE = 0.6  # of the memory that is free: a prompt needs more while it is read


@dataclass
class Room:
    """How much one call of the model may hold: `rows`, and where memory is counted `tokens`, padding
    included."""

    rows: int
    tokens: int | None = None

    def fits(self, rows: int, length: int) -> bool:
        """Whether so many prompts of that length may be asked together; one always may."""
        return rows <= 1 or (rows <= self.rows and (self.tokens is None or rows * length <= self.tokens))

    def shrink(self, rows: int, length: int) -> None:
        """After so many ran out of memory."""
        half = rows * length // 2
        self.tokens = half if self.tokens is None else min(self.tokens, half)

    @classmethod
    def free(cls, base: PreTrainedModel) -> "Room":
        """What the memory that is free now should hold."""
        return cls(ROWS, int(SHARE * _free_bytes(base.device) / bytes_a_token(base)))


def bytes_a_token(base: PreTrainedModel) -> int:
    """Counted: a token's keys and values in all layers, twice, as rows that were read by themselves are
    joined. For Qwen2-VL-7B in bfloat16: 28 layers × 2 × 4 heads × 128 numbers, and so 114,688 bytes.
    """
    config: Any = base.config.get_text_config()
    width, heads = config.hidden_size, config.num_attention_heads
    kept = getattr(config, "num_key_value_heads", None) or heads
    head = getattr(config, "head_dim", None) or width // heads
    numbers = config.num_hidden_layers * 2 * kept * head
    return 2 * int(numbers) * torch.empty(0, dtype=base.dtype).element_size()


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    import psutil

    return int(psutil.virtual_memory().available)


def out_of_memory(error: BaseException) -> bool:
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def in_order(requests: Iterable[Request], length: Callable[[Request], int]) -> list[tuple[Request, int]]:
    """Requests with their lengths: dialogues together, the longest first, so that what does not fit into
    memory shows at once."""
    dialogues: dict[str, list[tuple[Request, int]]] = defaultdict(list)
    for request in requests:
        dialogues[request.dialogue.digest].append((request, length(request)))
    for one in dialogues.values():
        one.sort(key=lambda pair: (-pair[1], pair[0].query.text))
    whole = sorted(dialogues.items(), key=lambda item: (-item[1][0][1], item[0]))
    return [pair for _, one in whole for pair in one]


def batches(ordered: Sequence[tuple[Request, int]], room: Room) -> Iterator[list[Request]]:
    """Runs of what comes one after another and fits; the room may shrink meanwhile."""
    begin = 0
    while begin < len(ordered):
        end = begin + 1
        longest = ordered[begin][1]
        while end < len(ordered) and room.fits(end + 1 - begin, max(longest, ordered[end][1])):
            longest = max(longest, ordered[end][1])
            end += 1
        yield [request for request, _ in ordered[begin:end]]
        begin = end
