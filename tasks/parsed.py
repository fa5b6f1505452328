"""What a record held, and what is wrong with it."""

from dataclasses import dataclass, field

from f2rcli.tasks.types import Request


@dataclass
class Parsed:
    """What a record held. With `problems` its requests cannot be trusted; with `warnings` they can.

    The requests have no `id` and no `where` yet: those depend on the records before.
    """

    requests: list[Request] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
