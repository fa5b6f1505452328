"""One request, asked until there is an answer or no hope of one."""

import time
from dataclasses import dataclass
from itertools import count
from typing import Any

from f2rcli.adapters.api.costs import Budget, Price
from f2rcli.adapters.api.endpoint import Endpoint, Reply
from f2rcli.adapters.api.failures import AttemptError
from f2rcli.adapters.api.pacing import Gate, Patience, Streak, Waiting
from f2rcli.adapters.retriever import UnfinishedError
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Failure, Request, Retrieval


@dataclass
class Asking:
    """What the workers of one run share."""

    endpoint: Endpoint
    client: Any
    patience: Patience
    gate: Gate
    streak: Streak
    budget: Budget
    price: Price | None
    waiting: Waiting

    def ask(self, request: Request, body: dict[str, Any], worst: float, images: int) -> Retrieval:
        """Attempts until one is answered. `worst`: what one can cost at most.

        Raises UnfinishedError where the session has to end for now, InputError where no request can be
        answered, and ClosedError if it was told to stop.
        """
        self.streak.check()
        lost, pause, begun = 0, 0.0, time.monotonic()
        for attempt in count(1):
            self.budget.set_aside(worst, lambda: self.gate.closed)
            cost = 0.0
            try:
                started, reply = self._attempt(body, pause)
            except AttemptError as trouble:
                if trouble.lost:
                    lost, cost = lost + 1, worst
                if (after := self._after(trouble, attempt)) is None:
                    if trouble.again:
                        self.streak.in_vain(trouble.message)
                    failure = Failure("refused" if trouble.refused else "error", trouble.message)
                    details = self._details(images, attempt, lost, worst)
                    if not trouble.again:
                        details["lasting"] = True
                    return Retrieval(request.id, failure=failure, details=details)
                pause = after
                if time.monotonic() - begun + pause >= self.patience.silent:
                    next_one = f"attempt {attempt + 1} of {self.patience.attempts} in {pause:.0f} s"
                    self.waiting.tell(f"{self.endpoint.model}: {trouble.message}; {next_one}")
            else:
                self.streak.answered()
                details = self._details(images, attempt, lost, worst)
                cost = self._cost(reply, worst)
                return self._retrieval(request, reply, time.perf_counter() - started, details, cost)
            finally:
                self.budget.settle(worst, cost)
        raise AssertionError("unreachable")

    def _attempt(self, body: dict[str, Any], pause: float) -> tuple[float, Reply]:
        """When it was sent, and the reply. Raises AttemptError or ClosedError."""
        self.gate.enter(pause)
        well = False
        try:
            started = time.perf_counter()
            reply = self.endpoint.ask(self.client, body)
            well = True
        finally:
            self.gate.leave(well=well)
        return started, reply

    def _after(self, trouble: AttemptError, attempt: int) -> float | None:
        """Seconds until the next attempt; None if there is none."""
        if trouble.stops:
            fix = self.endpoint.advice(trouble.stops)
            raise InputError(trouble.message, where=self.endpoint.url, fix=fix)
        if trouble.wait is not None and trouble.wait > self.patience.too_long:
            raise UnfinishedError(f"the endpoint asks to wait {trouble.wait:.0f} s ({trouble.message})")
        if not trouble.again or attempt >= self.patience.attempts:
            return None
        pause = self.patience.pause(attempt) if trouble.wait is None else trouble.wait
        if trouble.busy:
            self.gate.hold(pause)
        return pause

    def _cost(self, reply: Reply, worst: float) -> float:
        if self.price is None or reply.prompt_tokens is None or reply.output_tokens is None:
            return worst
        return self.price.of(reply.prompt_tokens, reply.output_tokens, reply.cached, reply.written)

    def _details(self, images: int, attempts: int, lost: int, worst: float) -> dict[str, Any]:
        details: dict[str, Any] = {"images": images}
        if attempts > 1:
            details["attempts"] = attempts
        if lost and self.price:
            details |= {"cost_lost": lost * worst, "currency": self.price.currency}
        return details

    def _retrieval(
        self, request: Request, reply: Reply, seconds: float, details: dict[str, Any], cost: float
    ) -> Retrieval:
        told = {
            "cached_tokens": reply.cached,
            "cache_write_tokens": reply.written,
            "reasoning_tokens": reply.reasoning_tokens,
            "reasoning": reply.reasoning,
            "model": reply.model if reply.model != self.endpoint.model else "",
        }
        details |= {name: value for name, value in told.items() if value}
        if self.price:
            counted = reply.prompt_tokens is not None and reply.output_tokens is not None
            known = "cost" if counted else "cost_at_most"
            details |= {known: cost, "currency": self.price.currency}
        return Retrieval(
            request.id,
            text=reply.text,
            failure=reply.failure,
            prompt_tokens=reply.prompt_tokens,
            output_tokens=reply.output_tokens,
            seconds=seconds,
            details=details,
        )
