"""What the pre-training asks of the model: the answer, and three helpers that exist here alone."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from f2rcli.adapters.vlm.inputs import InputBuilder
from f2rcli.adapters.vlm.loading import Loaded
from f2rcli.tasks.types import Request
from f2rcli.training.nano.architecture import END, VISUAL_TOKENS
from f2rcli.training.nano.corpus import LARGEST_ID, seen_things, thing_of
from f2rcli.training.samples import NO_LOSS, Samples

LINE_LAYER, CHAIN_LAYER = 3, 4
LONGEST = 2000  # tokens that a chat with gaps may span
FIRST = LARGEST_ID + 1  # in place of an id: no line of the answer before this one
PROMPT_TOKENS = 1024  # of a batch, that bear a language-model loss: all would cost as much again
WEIGHTS = {"answer": 1.0, "prompt": 0.2, "line": 1.0, "picture": 0.5}  # and a stage's own


class Losses:
    """Losses of a batch of requests under a model on its device.

    `heads` are three linear layers that are thrown away afterwards. At a line's last token: is this
    line part of the answer (read from the third layer), and if so, which is the line of the answer
    before it (from the fourth: an answer is told by going along this chain). At a picture: what does
    it show (from the mean of its visual tokens).
    """

    def __init__(self, loaded: Loaded) -> None:
        self.model: Any = loaded.base
        self.device = loaded.base.device
        self.tokenizer = loaded.processor.tokenizer
        self.inputs = InputBuilder(loaded.processor)
        self.things = seen_things()
        width = self.model.config.text_config.hidden_size
        self.heads = nn.ModuleDict(
            {
                "line": nn.Linear(width, 1),
                "chain": nn.Linear(width, FIRST + 1),
                "picture": nn.Linear(width, len(self.things)),
            }
        ).to(self.device)
        self.visual_tokens: Tensor | None = None
        self.model.model.visual.register_forward_hook(self._keep_visual_tokens)
        self.line_start = self.tokenizer.convert_tokens_to_ids("<|utt_id_start|>")
        self.images_start = self.tokenizer.convert_tokens_to_ids("<|img_ids_start|>")
        self.end = self.tokenizer.convert_tokens_to_ids(END)
        self.image = self.tokenizer.convert_tokens_to_ids(loaded.processor.image_token)

    def _keep_visual_tokens(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.visual_tokens = output.pooler_output

    def __call__(self, asked: list[Request], spread: float, seed: int) -> dict[str, Tensor]:
        """Scalars by the names in `WEIGHTS` (no `picture` without one), `chain` (where there is one),
        `images`: the answer's loss on its image ids, and `exact`: the share of answers every token of
        which is the likeliest.

        A share of the chats, `spread`, is read with gaps (see `_places`); `seed` draws them.
        """
        inputs, labels, answer = self._batch(asked)
        self.visual_tokens = None
        places = self._places(inputs, spread, torch.Generator().manual_seed(seed))
        output = self.model.model(**inputs, position_ids=places, output_hidden_states=True)
        states, goal, told = output.last_hidden_state[:, :-1], labels[:, 1:], answer[:, 1:]
        logits = self.model.lm_head(states[told])
        rest = (~told & (goal != NO_LOSS)).flatten().nonzero().flatten()
        rest = rest[:: max(1, len(rest) // PROMPT_TOKENS)]
        read = self.model.lm_head(states.flatten(0, 1)[rest])
        listed = ((inputs["input_ids"] == self.images_start) & answer).cumsum(1)[:, :-1] > 0
        found = {
            "answer": cross_entropy(logits, goal[told]),
            "images": cross_entropy(logits[listed[told]], goal[told & listed]),
            "prompt": cross_entropy(read, goal.flatten()[rest]),
            **self._lines(inputs["input_ids"], output.hidden_states, asked),
        }
        if self.visual_tokens is not None:
            features = self.visual_tokens.unflatten(0, (-1, VISUAL_TOKENS)).mean(1)
            shown = [self.things.index(thing_of(i)) for one in asked for i in one.dialogue.images]
            goals = torch.tensor(shown, device=self.device)
            found["picture"] = cross_entropy(self.heads["picture"](features), goals)
        wrong = torch.zeros_like(told, dtype=torch.float)
        wrong[told] = (logits.argmax(-1) != goal[told]).float()
        found["exact"] = (wrong.sum(1) == 0).float().mean()
        return found

    def _batch(self, asked: list[Request]) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Inputs (right-padded, batch × length), labels (NO_LOSS where none), and which of them are the
        answer's."""
        samples = Samples(asked, self.inputs, {self.end})
        inputs = samples.collate([samples[i] for i in range(len(asked))])
        inputs = {key: tensor.to(self.device) for key, tensor in inputs.items()}
        told = inputs.pop("labels") != NO_LOSS
        ids = inputs["input_ids"]
        unread = (inputs["attention_mask"] == 0) | (ids == self.image)
        return inputs, ids.masked_fill(unread, NO_LOSS), told

    def _places(self, inputs: dict[str, Tensor], spread: float, chance: torch.Generator) -> Tensor:
        """Positions (3 × batch × length), in some rows with gaps between the lines.

        So a chat of 25 turns spans the distances of one of 120, at the cost of one of 25. Without it
        the answers to chats longer than those trained on were noise.
        """
        ids, kinds = inputs["input_ids"], inputs["mm_token_type_ids"]
        found = self.model.model.get_rope_index(
            ids, kinds, inputs.get("image_grid_thw"), attention_mask=inputs["attention_mask"]
        )
        places: Tensor = found[0]
        starts: Tensor = ids == self.line_start
        lines = starts.sum(1, keepdim=True).clamp(min=1).cpu()
        room = max(0, LONGEST - ids.shape[1]) * torch.rand(len(ids), 1, generator=chance)
        room *= torch.rand(len(ids), 1, generator=chance) < spread
        gaps = 2 * room / lines * torch.rand(ids.shape, generator=chance)
        moved: Tensor = (gaps.to(ids.device).long() * starts).cumsum(1)
        return places + moved

    def _lines(self, ids: Tensor, hidden: Sequence[Tensor], asked: list[Request]) -> dict[str, Tensor]:
        """A line ends where the next begins, the last one at the end of the user's turn."""
        ends: list[Tensor] = []
        goals: list[bool] = []
        links: list[int] = []
        chained: list[int] = []
        for row, request in enumerate(asked):
            begins = (ids[row] == self.line_start).nonzero().flatten()
            last = next(i for i in (ids[row] == self.end).nonzero().flatten() if i > begins[-1])
            ends.append(torch.cat([begins[1:] - 1, last[None]]))
            assert request.gold is not None
            before = FIRST
            for utterance in request.dialogue.utterances:
                goals.append(inside := utterance.id in request.gold.utterances)
                if inside:
                    chained.append(len(goals) - 1)
                    links.append(before)
                    before = utterance.id

        def read(layer: int) -> Tensor:
            return torch.cat([hidden[layer][row, end] for row, end in enumerate(ends)])

        told = torch.tensor(goals, device=self.device).float()
        found = {
            "line": binary_cross_entropy_with_logits(
                self.heads["line"](read(LINE_LAYER)).squeeze(-1), told
            )
        }
        if links:
            logits = self.heads["chain"](read(CHAIN_LAYER)[chained])
            found["chain"] = cross_entropy(logits, torch.tensor(links, device=self.device))
        return found
