"""One retriever for every open VLM that transformers loads."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, Self

import torch

from f2rcli.adapters.checkpoints import find_checkpoint, provenance
from f2rcli.adapters.registry import Settings
from f2rcli.adapters.retriever import Retriever
from f2rcli.adapters.vlm.audit import InputAudit
from f2rcli.adapters.vlm.decoding import greedy, logprobs_of, shown
from f2rcli.adapters.vlm.inputs import InputBuilder, ModelInput, for_model
from f2rcli.adapters.vlm.loading import Loaded, choose_device, load
from f2rcli.adapters.vlm.processor import sizes_of
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.slicing import MAX_TURNS
from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Failure, Request, Retrieval, TokenLogprob

SPARE_TOKENS = 64  # beyond the longest possible answer, for a model that adds a few words


class VLM(Retriever):
    """Greedy answers in batches, every input audited.

    Requests are asked dialogue by dialogue, short dialogues first, so that a batch holds similar
    lengths and an image is processed once for the queries of its dialogue.
    """

    max_turns = MAX_TURNS

    def __init__(
        self,
        loaded: Loaded,
        *,
        batch_size: int = 1,
        max_new_tokens: int | None = None,
        sources: dict[str, Any] | None = None,
        logprobs: bool = False,
    ) -> None:
        self.model, self.base = loaded.model, loaded.base
        self.tokenizer = loaded.processor.tokenizer
        self.processor = loaded.processor
        self.inputs = InputBuilder(loaded.processor)
        self.audit = InputAudit(loaded.base, self.inputs)
        self.batch_size = batch_size
        self.max_new_tokens = max_new_tokens
        self.checkpoint_generation = loaded.generation
        self.logprobs = logprobs
        self.generation = greedy(loaded.generation, self.tokenizer, logprobs)
        self.base.generation_config = self.generation  # generate() falls back on the model's own
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
        folder = find_checkpoint(row["checkpoint"], code=trust)
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
            )
        except InputError as error:  # its input cannot be proved
            raise InputError(error.what, where=error.where or str(folder), fix=error.fix) from None

    @property
    def ends(self) -> set[int]:
        """The tokens that end an answer."""
        ends = self.generation.eos_token_id
        return set(ends if isinstance(ends, list) else [ends])

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
        }

    def environment(self) -> dict[str, Any]:
        return {
            "sources": self.sources,
            "device": str(self.base.device),
            "device_name": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "attention": self.base.config._attn_implementation,
            "batch_size": self.batch_size,
        }

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        ordered = sorted(
            requests,
            key=lambda r: (len(r.dialogue.utterances), r.dialogue.digest, len(r.query.text)),
        )
        for begin in range(0, len(ordered), self.batch_size):
            ready: list[ModelInput] = []
            for request in ordered[begin : begin + self.batch_size]:
                try:
                    ready.append(self.inputs.build(request))
                except InputError as error:  # an unreadable picture costs its request, not the run
                    yield _failed(request, str(error))
            yield from self._answer(ready)

    def _answer(self, batch: list[ModelInput]) -> Iterator[Retrieval]:
        """Answers to a batch; one that does not work is halved until the culprit stands alone."""
        if not batch:
            return
        try:
            answers = self._generate(batch)
        except Exception as error:  # out of memory, or whatever one input does to a model
            message = str(error) or type(error).__name__
        else:
            yield from answers
            return
        faults = self.audit.found_in(batch)
        if any(faults):
            for one, fault in zip(batch, faults, strict=True):
                if fault:
                    yield _failed(one.request, fault)
            clean = [one for one, fault in zip(batch, faults, strict=True) if not fault]
            yield from self._answer(clean)
        elif len(batch) == 1:
            yield _failed(batch[0].request, message)
        else:
            middle = len(batch) // 2
            yield from self._answer(batch[:middle])
            yield from self._answer(batch[middle:])

    def _generate(self, batch: list[ModelInput]) -> list[Retrieval]:
        started = time.perf_counter()
        caps = [self._token_cap(one.request) for one in batch]
        collated = self.inputs.collate(batch)
        length = collated["input_ids"].shape[1]
        limit = getattr(self.base.config.get_text_config(), "max_position_embeddings", None)
        if limit and length + max(caps) > limit:
            raise ValueError(
                f"a prompt of {length} tokens and an answer of {max(caps)} do not fit into the "
                f"model's {limit} positions"
            )
        self.audit.arm(batch, collated)
        with torch.inference_mode():
            output = self.model.generate(
                **for_model(collated, self.base),
                generation_config=self.generation,
                max_new_tokens=max(caps),
            )
        answers = (output.sequences if self.logprobs else output)[:, length:]
        logprobs = logprobs_of(answers, output.logits) if self.logprobs else [None] * len(batch)
        seconds = (time.perf_counter() - started) / len(batch)
        faults = self.audit.result()
        return [
            self._retrieval(*parts, seconds)
            for parts in zip(batch, answers.tolist(), logprobs, caps, faults, strict=True)
        ]

    def _retrieval(
        self,
        one: ModelInput,
        tokens: list[int],
        logprobs: list[float] | None,
        cap: int,
        fault: str | None,
        seconds: float,
    ) -> Retrieval:
        if fault:
            return _failed(one.request, fault)
        ends = self.ends
        # Each answer under its own cap, so that it does not depend on who shared its batch.
        tokens = tokens[:cap]
        end = next((i for i, token in enumerate(tokens) if token in ends), None)
        text = self.tokenizer.decode(
            tokens[:end], skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        generated = tokens if end is None else tokens[: end + 1]
        named = None if logprobs is None else self._named(generated, logprobs)
        if named and not all(math.isfinite(token["logprob"]) for token in named):
            return _failed(one.request, "the model's distribution over tokens is not one of numbers")
        return Retrieval(
            one.request.id,
            text=text,
            failure=Failure("truncated", f"no end within {cap} tokens") if end is None else None,
            prompt_tokens=len(one.ids),
            output_tokens=len(tokens) if end is None else end,
            seconds=seconds,
            details={
                "images": len(one.images),
                "visual_tokens": sum(one.visual_tokens),
                **({"escaped_control_tokens": one.escaped} if one.escaped else {}),
            },
            logprobs=named,
        )

    def _named(self, tokens: list[int], logprobs: list[float]) -> list[TokenLogprob]:
        """An answer's tokens with their log-probabilities, without those of the padding after it."""
        pairs = zip(tokens, logprobs, strict=False)
        return [{"token": self.tokenizer.decode([token]), "logprob": value} for token, value in pairs]

    def _token_cap(self, request: Request) -> int:
        """Enough for every id of the dialogue in the official form, and a few words more.

        (The release allows 15,536 tokens, of which a runaway answer uses every one.)
        """
        if self.max_new_tokens:
            return self.max_new_tokens
        longest = render_answer(request.dialogue.everything)
        return len(self.tokenizer(longest)["input_ids"]) + SPARE_TOKENS


def _failed(request: Request, message: str) -> Retrieval:
    line = " ".join(message.split())
    return Retrieval(request.id, failure=Failure("error", line[:500]))
