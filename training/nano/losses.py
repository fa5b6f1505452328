"""What the pre-training asks of the model: the answer, and three helpers that exist here alone."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from f2rcli.adapters.vlm.inputs import InputBuilder
from f2rcli.adapters.vlm.loading import Loaded
from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Request
from f2rcli.training.nano.architecture import END, VISUAL_TOKENS
from f2rcli.training.nano.corpus import seen_things, thing_of

LINE_LAYER = 3
PROMPT_TOKENS = 1024  # of a batch, that bear a language-model loss: all would cost as much again
WEIGHTS = {"answer": 1.0, "prompt": 0.3, "line": 1.0, "picture": 1.0}


class Losses:
    """Losses of a batch of requests under a model on its device.

    `heads` are two linear layers that are thrown away afterwards: is this line part of the answer
    (read from the third layer at the line's last token), and what does this picture show (read from
    the mean of its visual tokens).
    """

    def __init__(self, loaded: Loaded) -> None:
        self.model: Any = loaded.base
        self.device = loaded.base.device
        self.tokenizer = loaded.processor.tokenizer
        self.inputs = InputBuilder(loaded.processor)
        self.things = seen_things()
        width = self.model.config.text_config.hidden_size
        self.heads = nn.ModuleDict(
            {"line": nn.Linear(width, 1), "picture": nn.Linear(width, len(self.things))}
        ).to(self.device)
        self.visual_tokens: Tensor | None = None
        self.model.model.visual.register_forward_hook(self._keep_visual_tokens)
        self.line_start = self.tokenizer.convert_tokens_to_ids("<|utt_id_start|>")
        self.end = self.tokenizer.convert_tokens_to_ids(END)
        self.image = self.tokenizer.convert_tokens_to_ids(loaded.processor.image_token)

    def _keep_visual_tokens(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.visual_tokens = output.pooler_output

    def __call__(self, asked: list[Request]) -> dict[str, Tensor]:
        """Scalars by the names in `WEIGHTS` (no `picture` without one), and `exact`: the share of
        answers every token of which is the likeliest."""
        inputs, labels, answer = self._batch(asked)
        self.visual_tokens = None
        output = self.model.model(**inputs, output_hidden_states=True)
        states, goal, told = output.last_hidden_state[:, :-1], labels[:, 1:], answer[:, 1:]
        logits = self.model.lm_head(states[told])
        rest = (~told & (goal != -100)).flatten().nonzero().flatten()
        rest = rest[:: max(1, len(rest) // PROMPT_TOKENS)]
        read = self.model.lm_head(states.flatten(0, 1)[rest])
        found = {
            "answer": cross_entropy(logits, goal[told]),
            "prompt": cross_entropy(read, goal.flatten()[rest]),
            "line": self._line(inputs["input_ids"], output.hidden_states[LINE_LAYER], asked),
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
        """Inputs (right-padded, batch × length), labels (-100 where none), and which of them are the
        answer's."""
        rows, answers, images = [], [], []
        for request in asked:
            built = self.inputs.build(request)
            assert request.gold is not None
            text = render_answer(request.gold) + END
            answer = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            rows.append(built.ids + answer)
            answers.append(len(answer))
            images += built.images
        longest, pad = max(map(len, rows)), self.tokenizer.pad_token_id
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
        place = torch.arange(longest)[None]
        ends = torch.tensor([[len(row)] for row in rows])
        inside = place < ends
        told = inside & (place >= ends - torch.tensor(answers)[:, None])
        inputs = {
            "input_ids": ids,
            "attention_mask": inside.long(),
            "mm_token_type_ids": (ids == self.image).int(),
        }
        for key in images[0] if images else ():
            inputs[key] = torch.cat([image[key] for image in images])
        labels = ids.masked_fill(~inside | (ids == self.image), -100)
        inputs = {key: tensor.to(self.device) for key, tensor in inputs.items()}
        return inputs, labels.to(self.device), told.to(self.device)

    def _line(self, ids: Tensor, hidden: Tensor, asked: list[Request]) -> Tensor:
        """A line ends where the next begins, the last one at the end of the user's turn."""
        states, goals = [], []
        for row, request in enumerate(asked):
            begins = (ids[row] == self.line_start).nonzero().flatten()
            last = next(i for i in (ids[row] == self.end).nonzero().flatten() if i > begins[-1])
            states.append(hidden[row, torch.cat([begins[1:] - 1, last[None]])])
            assert request.gold is not None
            goals += [float(u.id in request.gold.utterances) for u in request.dialogue.utterances]
        logits = self.heads["line"](torch.cat(states)).squeeze(-1)
        return binary_cross_entropy_with_logits(logits, torch.tensor(goals, device=self.device))
