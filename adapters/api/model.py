"""One retriever for every model behind an API."""

import dataclasses
import importlib.metadata
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

from f2rcli.adapters.api.anthropic_messages import Messages
from f2rcli.adapters.api.asking import Asking
from f2rcli.adapters.api.costs import Budget
from f2rcli.adapters.api.crew import Crew, Lane, lanes
from f2rcli.adapters.api.endpoint import Endpoint
from f2rcli.adapters.api.messages import Message, Placement, compose
from f2rcli.adapters.api.openai_chat import ChatCompletions
from f2rcli.adapters.api.pacing import Gate, Patience, Streak, Waiting
from f2rcli.adapters.api.pictures import Picture, described
from f2rcli.adapters.registry import ModelRow, Settings
from f2rcli.adapters.retriever import Retriever
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.slicing import MAX_TURNS
from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Failure, Request, Retrieval

MAX_PIXELS = 602_112  # the release's limit
LEAST_ROOM = 1024  # tokens for an answer: a model may say more than the form asks for
SPARE_TOKENS = 64
PIXELS_A_TOKEN = 256  # fewer than any API that we know counts; for a limit on costs only
PATIENCE = Patience()
ENDPOINTS: dict[str, type[Endpoint]] = {"openai": ChatCompletions, "anthropic": Messages}


class APIModel(Retriever):
    """Answers at temperature 0, several requests at once, each attempted until it is answered.

    A dialogue's pictures are encoded once for the queries that one worker asks about it.
    """

    max_turns = MAX_TURNS

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        *,
        concurrency: int = 8,
        placement: Placement = "in-place",
        max_pixels: int | None = None,
        max_new_tokens: int | None = None,
        budget: Budget | None = None,
        patience: Patience | None = None,
        note: Callable[[str], None] | None = None,
    ) -> None:
        """Raises InputError where `budget` has a limit and no price for this model."""
        self.endpoint = endpoint
        self.concurrency = concurrency
        self.placement: Placement = placement
        self.max_pixels: int = max_pixels or endpoint.row.get("max_pixels", MAX_PIXELS)
        self.max_new_tokens: int | None = max_new_tokens or endpoint.row.get("max_new_tokens")
        self.budget = budget or Budget()
        self.price = self.budget.price(name, endpoint.model)
        given = patience or PATIENCE
        timeout = float(endpoint.row.get("timeout", given.timeout))
        self.patience = dataclasses.replace(given, timeout=timeout)
        self.waiting = Waiting(note or (lambda line: None))
        self.underestimated = (
            1.0  # the largest ratio of a prompt's tokens to what they were thought to be
        )

    @classmethod
    def of(cls, row: ModelRow, settings: Settings) -> Self:
        """Without a key: enough to see what would be sent. Raises InputError for unusable settings."""
        endpoint = ENDPOINTS[row.kind](row.settings, settings.endpoint)
        endpoint.keep_out([row.name, row.about])
        return cls(
            row.name,
            endpoint,
            concurrency=settings.concurrency,
            placement=settings.image_placement,
            max_pixels=settings.max_pixels,
            max_new_tokens=settings.max_new_tokens,
            budget=settings.budget,
            note=settings.note,
        )

    @classmethod
    def load(cls, row: ModelRow, settings: Settings) -> Self:
        """Raises InputError also if the key or the SDK is missing."""
        model = cls.of(row, settings)
        model.endpoint.unlock()
        return model

    def identity(self) -> dict[str, Any]:
        row = self.endpoint.row
        decoding = {
            "temperature": 0 if row.get("takes_temperature", True) else None,
            "max_new_tokens": self.max_new_tokens
            or f"characters of the longest answer + {SPARE_TOKENS}, at least {LEAST_ROOM}",
            "max_reasoning_tokens": row.get("max_reasoning_tokens", 0),
            "budget_field": row.get("budget_field"),
            "limit_field": row.get("limit_field", self.endpoint.limit_field),
            "body": row.get("body", {}),
        }
        return {
            "endpoint": self.endpoint.url,
            "model": self.endpoint.model,
            "pictures": {"placement": self.placement, **described(self.max_pixels)},
            "decoding": decoding,
        }

    def environment(self) -> dict[str, Any]:
        return {
            "sdk": {self.endpoint.sdk: importlib.metadata.version(self.endpoint.sdk)},
            "concurrency": self.concurrency,
            "patience": dataclasses.asdict(self.patience),
            "price": self.price and dataclasses.asdict(self.price),
            "max_cost": self.budget.limit,
        }

    def recall(self, attempts: Iterable[Retrieval]) -> None:
        self.budget.recall(attempts, self.price)

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        gate = Gate(self.concurrency)
        with self.endpoint.client(self.patience.timeout) as client:
            asking = Asking(
                self.endpoint,
                client,
                self.patience,
                gate,
                Streak(max(8, self.concurrency)),
                self.budget,
                self.price,
                self.waiting,
            )
            crew = Crew(self.concurrency, gate)
            todo = lanes(requests, self.concurrency)
            yield from crew.run(todo, lambda lane: self._begin(lane, asking))

    def _begin(self, lane: Lane, asking: Asking) -> Callable[[Request], Retrieval]:
        """What one worker does with the queries of one dialogue."""
        encoded: dict[str | None, Picture] = {}

        def answer(request: Request) -> Retrieval:
            try:
                message = self.message(request, encoded)
            except InputError as error:
                failure = Failure("error", str(error))
                return Retrieval(request.id, failure=failure, details={"lasting": True})
            limit = self._limit(request)
            body = self.endpoint.body(message, limit, shared=len(lane) > 1)
            thought = message.text_bytes + sum(map(self._image_tokens, message.pictures))
            worst = 0.0
            if self.price:
                output = limit + self.endpoint.row.get("max_reasoning_tokens", 0)
                worst = self.price.worst(round(thought * self.underestimated), output)
            found = asking.ask(request, body, worst, len(message.pictures))
            ratio = (found.prompt_tokens or 0) / max(1, thought)
            self.underestimated = max(self.underestimated, ratio)
            return found

        return answer

    def message(self, request: Request, encoded: dict[str | None, Picture]) -> Message:
        """What is to be said. Raises InputError for an unreadable picture or too many of them."""
        most = self.endpoint.row.get("max_images")
        images = sum(isinstance(part, int) for part in request.prompt.parts())
        if most is not None and images > most:
            raise InputError(f"{images} images, and the endpoint takes {most} a request")
        return compose(request, encoded, self.max_pixels, self.placement)

    def shown(self, request: Request, asked: Sequence[Request]) -> tuple[str, int, int]:
        """A request's JSON with its pictures shortened, its true size in bytes, and its pictures: as it
        is sent when all of `asked` are."""
        lane = next(
            lane for lane in lanes(asked, self.concurrency) if request.id in {r.id for r in lane}
        )
        shared = len(lane) > 1
        message, limit = self.message(request, {}), self._limit(request)
        size = len(
            json.dumps(
                self.endpoint.body(message, limit, shared=shared),
                ensure_ascii=False,
                separators=(",", ":"),
            ).encode()
        )
        parts = tuple(p if isinstance(p, str) else _shortened(p) for p in message.parts)
        body = self.endpoint.body(dataclasses.replace(message, parts=parts), limit, shared=shared)
        return json.dumps(body, ensure_ascii=False, indent=2), size, len(message.pictures)

    def _limit(self, request: Request) -> int:
        """Tokens for the answer: enough for every id of the dialogue, as a token is never less than a
        character of that form."""
        longest = len(render_answer(request.dialogue.everything)) + SPARE_TOKENS
        return self.max_new_tokens or max(LEAST_ROOM, longest)

    def _image_tokens(self, picture: Picture) -> int:
        given: int | None = self.endpoint.row.get("image_tokens")
        return given or -(-picture.width * picture.height // PIXELS_A_TOKEN)


def _shortened(picture: Picture) -> Picture:
    size = f"{picture.width} × {picture.height} pixels, {len(picture.base64)} characters"
    return dataclasses.replace(picture, base64=f"{picture.base64[:16]}… ({size})")
