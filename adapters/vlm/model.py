"""One retriever for every open VLM that transformers loads."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Self

import torch

from f2rcli.adapters.checkpoints import find_checkpoint, provenance
from f2rcli.adapters.registry import Settings
from f2rcli.adapters.retriever import Retriever
from f2rcli.adapters.vlm.decoding import greedy, shown
from f2rcli.adapters.vlm.engine.ahead import ahead
from f2rcli.adapters.vlm.engine.batches import Room, batches, in_order, out_of_memory
from f2rcli.adapters.vlm.engine.drafts import Drafts
from f2rcli.adapters.vlm.engine.engine import Engine
from f2rcli.adapters.vlm.engine.greedy import Answer, Draft, no_draft
from f2rcli.adapters.vlm.inputs import InputBuilder, ModelInput
from f2rcli.adapters.vlm.loading import Loaded, choose_device, load
from f2rcli.adapters.vlm.processor import sizes_of
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.slicing import MAX_TURNS
from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Failure, Request, Retrieval, TokenLogprob

SPARE_TOKENS = 64  # beyond the longest possible answer, for a model that adds a few words


class VLM(Retriever):
    """Greedy answers in batches, every input audited (docs/engine.md).

    `batch_size` is how many at most, None as many as memory is counted to hold. With `exact`,
    transformers answers them one by one.
    """

    max_turns = MAX_TURNS

    def __init__(
        self,
        loaded: Loaded,
        *,
        batch_size: int | None = None,
        max_new_tokens: int | None = None,
        sources: dict[str, Any] | None = None,
        logprobs: bool = False,
        exact: bool = False,
    ) -> None:
        self.model, self.base = loaded.model, loaded.base
        self.tokenizer = loaded.processor.tokenizer
        self.processor = loaded.processor
        self.inputs = InputBuilder(loaded.processor)
        self.batch_size = 1 if exact else batch_size
        self.max_new_tokens = max_new_tokens
        self.checkpoint_generation = loaded.generation
        self.logprobs, self.exact = logprobs, exact
        self.generation = greedy(loaded.generation, self.tokenizer, logprobs)
        self.base.generation_config = self.generation  # generate() falls back on the model's own
        self.engine = Engine(loaded, self.inputs, self.generation, exact=exact, logprobs=logprobs)
        self.sources = sources or {}

    @classmethod
    def load(cls, row: dict[str, Any], settings: Settings) -> Self:
        """Raises InputError if the checkpoint (or the adapter over it) is not there or does not fit."""
        if "refused" in row:
            raise InputError(f"{row['checkpoint']} cannot be asked: {row['refused']}")
        trust = settings.trust_remote_code
        if row.get("remote_code") and not trust:
            raise InputError(
                f"{row['checkpoint']} brings its own code, which would be run from its folder",
                fix="--trust-remote-code runs it, if you trust its authors",
            )
        folder = find_checkpoint(row["checkpoint"], code=trust, release=row.get("release"))
        name = settings.adapter or row.get("adapter")
        adapter = find_checkpoint(name, needed="adapter_config.json") if name else None
        loaded = load(
            folder,
            adapter,
            settings.dtype or row.get("dtype", "auto"),
            choose_device(settings.device),
            settings.max_pixels or row.get("max_pixels"),
            trust_code=trust,
        )
        model_type = loaded.base.config.model_type
        if row.get("model_type", model_type) != model_type:
            raise InputError(f"{row['checkpoint']} is {model_type}, not {row['model_type']}")
        found = provenance(folder, code=loaded.code)
        sources = {"checkpoint": {"name": row["checkpoint"], **found}}
        if adapter:
            sources["adapter"] = {"name": name, **provenance(adapter)}
        limit = settings.max_new_tokens or row.get("max_new_tokens")
        try:
            return cls(
                loaded,
                batch_size=settings.batch_size,
                max_new_tokens=limit,
                sources=sources,
                logprobs=settings.logprobs,
                exact=settings.exact,
            )
        except InputError as error:  # its input cannot be proved
            raise InputError(error.what, where=error.where or str(folder), fix=error.fix) from None

    @property
    def ends(self) -> set[int]:
        """The tokens that end an answer."""
        return self.engine.ends

    def identity(self) -> dict[str, Any]:
        return {
            **{source: found["digest"] for source, found in self.sources.items()},
            "dtype": str(self.base.dtype).removeprefix("torch."),
            "image_size": sizes_of(self.processor),
            "image_processor": type(self.processor.image_processor).__name__,
            **({} if self.inputs.template.form == "parts" else {"pictures": "written into the text"}),
            "decoding": {
                "checkpoint": shown(self.checkpoint_generation),
                "applied": shown(self.generation),
                "max_new_tokens": self.max_new_tokens or f"longest answer + {SPARE_TOKENS}",
            },
            **({"exact": True} if self.exact else {}),
        }

    def environment(self) -> dict[str, Any]:
        return {
            "sources": self.sources,
            "device": str(self.base.device),
            "device_name": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "attention": self.base.config._attn_implementation,
            "batch_size": self.batch_size or "auto",
            "engine": self.engine.described,
        }

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        room = Room(self.batch_size) if self.batch_size else Room.free(self.base)
        self.inputs.forget()
        try:
            ordered = in_order(requests, self.inputs.length)
            with closing(ahead(batches(ordered, room), self._made)) as made:
                for ready, failed in made:
                    yield from failed
                    yield from self._answer(ready, room)
        finally:
            self.inputs.forget()

    def _made(self, batch: list[Request]) -> tuple[list[ModelInput], list[Retrieval]]:
        """A batch as model inputs; what cannot be read or does not fit costs its request only."""
        ready, failed = [], []
        limit = getattr(self.base.config.get_text_config(), "max_position_embeddings", None)
        for request in batch:
            try:
                one, cap = self.inputs.build(request), self._token_cap(request)
                if limit and len(one.ids) + cap > limit:
                    what = f"a prompt of {len(one.ids)} tokens and an answer of {cap} do not fit into"
                    fix = "take a smaller --max-new-tokens or --max-pixels, or another checkpoint"
                    raise InputError(f"{what} the model's {limit} positions", fix=fix)
            except InputError as error:
                failed.append(_failed(request, str(error), lasting=True))
            else:
                ready.append(one)
        return ready, failed

    def _answer(self, batch: list[ModelInput], room: Room) -> Iterator[Retrieval]:
        """Answers to a batch; one that does not work is halved until the culprit stands alone."""
        if not batch:
            return
        try:
            answers = self._retrieved(batch)
        except Exception as error:  # out of memory, or whatever one input does to a model
            message = str(error) or type(error).__name__
            if out_of_memory(error):
                room.shrink(len(batch), max(len(one.ids) for one in batch))
        else:
            yield from answers
            return
        faults = self.engine.audit.found_in(batch)
        if any(faults):
            for one, fault in zip(batch, faults, strict=True):
                if fault:
                    yield _failed(one.request, fault)
            clean = [one for one, fault in zip(batch, faults, strict=True) if not fault]
            yield from self._answer(clean, room)
        elif len(batch) == 1:
            yield _failed(batch[0].request, message)
        else:
            middle = len(batch) // 2
            yield from self._answer(batch[:middle], room)
            yield from self._answer(batch[middle:], room)

    def _retrieved(self, batch: list[ModelInput]) -> list[Retrieval]:
        started = time.perf_counter()
        faults = self.engine.see(batch)
        seen = [one for one, fault in zip(batch, faults, strict=True) if not fault]
        failed = [_failed(one.request, f) for one, f in zip(batch, faults, strict=True) if f]
        answers = [Answer(self._token_cap(one.request), self._draft(one.request)) for one in seen]
        faults = self.engine.write(seen, answers) if seen else []
        seconds = (time.perf_counter() - started) / len(batch)
        return failed + [
            _failed(one.request, fault) if fault else self._retrieval(one, answer, seconds)
            for one, answer, fault in zip(seen, answers, faults, strict=True)
        ]

    def _draft(self, request: Request) -> Draft:
        end = self.tokenizer.eos_token_id
        end = end if end in self.ends else next(iter(self.ends))
        return Drafts(self.tokenizer, request.dialogue, end).after if self.engine.drafts else no_draft

    def _retrieval(self, one: ModelInput, answer: Answer, seconds: float) -> Retrieval:
        if answer.broken:
            return _failed(one.request, "the model's distribution over tokens is not one of numbers")
        tokens = answer.tokens[:-1] if answer.ended else answer.tokens
        text = self.tokenizer.decode(
            tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        pairs = zip(answer.tokens, answer.logprobs, strict=self.logprobs)
        named: list[TokenLogprob] = [
            {"token": self.tokenizer.decode([token]), "logprob": value} for token, value in pairs
        ]
        failure = None if answer.ended else Failure("truncated", f"no end within {answer.cap} tokens")
        return Retrieval(
            one.request.id,
            text=text,
            failure=failure,
            prompt_tokens=len(one.ids),
            output_tokens=len(tokens),
            seconds=seconds,
            details={
                "images": len(one.images),
                "visual_tokens": sum(one.visual_tokens),
                **({"escaped_control_tokens": one.escaped} if one.escaped else {}),
            },
            logprobs=named if self.logprobs else None,
        )

    def _token_cap(self, request: Request) -> int:
        """Enough for every id of the dialogue in the official form, and a few words more.

        (The release allows 15,536 tokens, of which a runaway answer uses every one.)
        """
        if self.max_new_tokens:
            return self.max_new_tokens
        longest = render_answer(request.dialogue.everything)
        return len(self.tokenizer(longest)["input_ids"]) + SPARE_TOKENS


def _failed(request: Request, message: str, *, lasting: bool = False) -> Retrieval:
    line = " ".join(message.split())
    details = {"lasting": True} if lasting else {}
    return Retrieval(request.id, failure=Failure("error", line[:500]), details=details)
