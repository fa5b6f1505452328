"""From batches of model inputs to answers: as fast as can be shown to be the same, or plainly."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel

from f2rcli.adapters.vlm.audit import InputAudit
from f2rcli.adapters.vlm.decoding import Numbers, logprobs_of
from f2rcli.adapters.vlm.engine.greedy import Answer, Draft, Greedy, Row, WindowError
from f2rcli.adapters.vlm.engine.vision import Vision
from f2rcli.adapters.vlm.inputs import InputBuilder, Shown, for_model
from f2rcli.adapters.vlm.loading import Loaded
from f2rcli.tasks.errors import InputError

TRIED, WRONG = 12, 8  # tokens of an answer, and of a draft of it that are not its own
NEAR, ROUNDED = 1e-3, 0.1  # differences of log-probabilities, in float32 and in half precision
# Settings by which transformers counts padding as text, or the longest cap of a batch as everyone's.
COUNTED = ("no_repeat_ngram_size", "min_length", "forced_eos_token_id")


class Engine:
    """Answers batches, every input audited.

    Two things make it fast: pictures are seen once a dialogue (`Vision`), and answers are drafted
    (`Greedy`). Each is tried on the model when it is loaded, and left out, with a reason in
    `described`, for one that it is not the same for. `exact` leaves out both: pixels go in with every
    prompt, and transformers decodes token by token.
    """

    def __init__(
        self,
        loaded: Loaded,
        builder: InputBuilder,
        generation: GenerationConfig,
        *,
        exact: bool,
        logprobs: bool,
    ) -> None:
        self.model, self.base, self.builder = loaded.model, loaded.base, builder
        self.generation, self.logprobs = generation, logprobs
        ends = generation.eos_token_id
        self.ends: set[int] = set(ends if isinstance(ends, list) else [ends])
        self.audit = InputAudit(loaded.base, builder)
        self.vision: Vision | None = None
        self.drafts = not exact
        self.described = dict.fromkeys(("pictures", "drafts"), "none, as --exact asks")
        if exact:
            return
        try:
            self.vision = Vision(self.base, builder, self.audit)
            self.described["pictures"] = "encoded once a dialogue"
        except InputError as error:
            self.described["pictures"] = f"encoded with every prompt: {error.what}"
        reason = self._objection()
        self.drafts = reason is None
        self.described["drafts"] = f"none: {reason}" if reason else "verified by the model"

    def see(self, batch: Sequence[Shown]) -> list[str | None]:
        """Encode the pictures that have not been; what the audit found wrong with each input's."""
        if self.vision:
            self.vision.see(batch)
        return [next(filter(None, (image.fault for image in one.images)), None) for one in batch]

    @torch.inference_mode()
    def write(self, batch: Sequence[Shown], answers: Sequence[Answer]) -> list[str | None]:
        """Write the answers; the audit's faults. Raises whatever a model may raise."""
        if not self.drafts:
            if len(batch) > 1 and self._alone():
                return [self.write([one], [a])[0] for one, a in zip(batch, answers, strict=True)]
            faults, _ = self._generate(batch, self.generation, answers)
            return faults
        greedy = Greedy(self.ends, self.logprobs)
        faults, rows = [], []
        for one, answer in zip(batch, answers, strict=True):
            (fault,), row = self._generate([one], self.generation, [answer], greedy.read(answer))
            faults.append(fault)
            if not fault:
                rows.append(row)
        greedy.write(self.base, rows)
        return faults

    def _alone(self) -> bool:
        """Whether transformers would write an answer otherwise beside a longer one."""
        counted = any(getattr(self.generation, name, None) for name in COUNTED)
        return counted or _turns_with_length(self.base)

    def _generate(
        self,
        batch: Sequence[Shown],
        generation: GenerationConfig,
        answers: Sequence[Answer],
        reading: Callable[..., Row] | None = None,
    ) -> tuple[list[str | None], Any]:
        """By transformers' `generate`, whole or only read; the audit's faults, and what is read."""
        if self.vision:
            collated = self.vision.collate(batch)
        else:
            collated = for_model(self.builder.collate(batch), self.base)
        self.audit.arm(batch, collated, pictures=self.vision is None)
        longest, numbers = max(answer.cap for answer in answers), Numbers()
        how = {"custom_generate": reading} if reading else {"logits_processor": [numbers]}
        made = self.model.generate(
            **collated, generation_config=generation, max_new_tokens=longest, **how
        )
        faults = self.audit.result()
        if not reading:
            self._keep(made, collated["input_ids"].shape[1], answers, numbers)
        return faults, made

    def _keep(self, made: Any, length: int, answers: Sequence[Answer], numbers: Numbers) -> None:
        tokens: Tensor = (made.sequences if self.logprobs else made)[:, length:]
        logprobs = logprobs_of(tokens, made.logits) if self.logprobs else [[]] * len(answers)
        for answer, row, values in zip(answers, tokens.tolist(), logprobs, strict=True):
            # Each under its own cap, so that it does not depend on who shared its batch.
            end = next((i for i, token in enumerate(row[: answer.cap]) if token in self.ends), None)
            count = answer.cap if end is None else end + 1
            answer.tokens, answer.logprobs = row[:count], values[:count]
            answer.ended = end is not None
        assert numbers.broken is not None
        for answer, broken in zip(answers, numbers.broken.tolist(), strict=True):
            answer.broken = broken

    @torch.inference_mode()
    def _objection(self) -> str | None:
        """Why answers are not drafted: with drafts right and wrong, two prompts of different lengths do
        not get the log-probabilities that they get without."""
        if _turns_with_length(self.base):
            return "its positions are others where a call reaches further"
        generation = copy.deepcopy(self.generation)
        generation.eos_token_id = None
        generation.return_dict_in_generate = generation.output_logits = True
        greedy = Greedy(set(), logprobs=True)
        rows: list[Row] = []
        plain: list[tuple[list[int], list[float]]] = []
        own, self.base.generation_config = self.base.generation_config, generation
        try:
            for probe in (self.builder.probe(), self.builder.probe(pictures=False)):
                batch = for_model(self.builder.collate([probe]), self.base)
                asked = {"generation_config": generation, "max_new_tokens": TRIED}
                made = self.model.generate(**batch, **asked)
                tokens = made.sequences[:, batch["input_ids"].shape[1] :]
                plain += zip(tokens.tolist(), logprobs_of(tokens, made.logits), strict=True)
                reading = greedy.read(Answer(TRIED, _planted(tokens[0].tolist())))
                rows.append(self.model.generate(**batch, **asked, custom_generate=reading))
            greedy.write(self.base, rows)
        except WindowError as error:
            return str(error)
        except Exception as error:
            return " ".join(f"{type(error).__name__}: {error}".split())[:200]
        finally:
            self.base.generation_config = own
        for row, (tokens, logprobs) in zip(rows, plain, strict=True):
            if row.answer.broken:
                return "the model's distribution over tokens is not one of numbers"
            whole = self.base.dtype == torch.float32
            pairs = zip(row.answer.tokens, tokens, strict=True)
            same = next((place for place, (a, b) in enumerate(pairs) if a != b), TRIED)
            compared = list(zip(row.answer.logprobs, logprobs, strict=True))[: same + 1]  # near ties too
            apart = max(abs(a - b) for a, b in compared)
            if apart > (NEAR if whole else ROUNDED) or (whole and same < TRIED):
                return f"log-probabilities of drafted tokens are up to {apart:.2g} apart"
        return None


def _turns_with_length(base: PreTrainedModel) -> bool:
    """Whether the longest text of a call says by which table all its positions are encoded."""
    rope = getattr(base.config.get_text_config(), "rope_parameters", None) or {}
    kinds = [rope, *rope.values()]  # of all layers, or of each kind of them
    turning = ("longrope", "dynamic")
    return any(one.get("rope_type") in turning for one in kinds if isinstance(one, dict))


def _planted(row: list[int]) -> Draft:
    """Drafts of an answer that is known: some of its next tokens, and one that is not."""

    def draft(tokens: list[int]) -> list[int]:
        begin, count = len(tokens), len(tokens) % 3
        following = row[begin + count] if begin + count < len(row) else row[-1]
        return [*row[begin : begin + count], *[(following + 1) % 100] * WRONG]

    return draft
