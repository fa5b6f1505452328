"""A part of a dataset that depends on nothing but a seed and the requests themselves."""

import hashlib

from f2rcli.tasks.types import Request


def subsample(requests: list[Request], limit: int | None, seed: int) -> list[Request]:
    """At most `limit` requests, in dataset order: those whose seeded content digests are smallest.

    A smaller limit gives a subset of a larger one's.
    """
    if limit is None or limit >= len(requests):
        return requests
    ranked = sorted(range(len(requests)), key=lambda i: _rank(requests[i], seed))
    return [requests[i] for i in sorted(ranked[:limit])]


def _rank(request: Request, seed: int) -> tuple[str, str]:
    key = f"{seed} {request.digest}".encode()
    return hashlib.sha256(key).hexdigest(), request.id
