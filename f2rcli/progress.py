"""Progress on standard error: a bar on a terminal, a line now and then in a log."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from f2rcli.tasks.visible import visible

LOG_EVERY = 30  # seconds between lines where there is no terminal


class Reporter:
    """Makes the progress callbacks of runs: `progress(done, total)`. One that is `silent`, of another
    process than the first, gives no warnings either."""

    def __init__(self, *, quiet: bool, silent: bool = False) -> None:
        self.quiet = quiet or silent
        self.silent = silent

    def note(self, line: str) -> None:
        if not self.quiet:
            print(visible(line), file=sys.stderr, flush=True)

    def warn(self, line: str) -> None:
        """What a score is not to be read without."""
        if not self.silent:
            print(f"f2r: {visible(line)}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def run(self, title: str) -> Iterator[Callable[[int, int], None]]:
        if self.quiet:
            yield lambda done, total: None
        elif sys.stderr.isatty():
            with self._bar(title) as progress:
                yield progress
        else:
            yield _Log(title)

    @contextlib.contextmanager
    def _bar(self, title: str) -> Iterator[Callable[[int, int], None]]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        bar = Progress(*columns, console=Console(stderr=True))
        task = bar.add_task(title, total=None, rate="")
        clock = _Clock()

        def progress(done: int, total: int) -> None:
            bar.start()  # only now: where there is nothing to do, there is nothing to show
            bar.update(task, completed=done, total=total, rate=clock.rate(done))

        try:
            yield progress
        finally:
            bar.stop()


class _Clock:
    """Requests per second since the first call, so that what was resumed does not count."""

    def __init__(self) -> None:
        self.begun: tuple[float, int] | None = None

    def speed(self, done: int) -> float:
        time_now = time.monotonic()
        self.begun = self.begun or (time_now, done)
        return (done - self.begun[1]) / max(1e-9, time_now - self.begun[0])

    def rate(self, done: int) -> str:
        speed = self.speed(done)
        return f"{speed:.2f}/s" if speed else ""


class _Log:
    def __init__(self, title: str) -> None:
        self.title = title
        self.clock = _Clock()
        self.last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        speed = self.clock.speed(done)
        if done < total and time.monotonic() - self.last < LOG_EVERY:
            return
        self.last = time.monotonic()
        eta = f", ETA {(total - done) / speed:.0f} s" if speed and done < total else ""
        print(f"{self.title}: {done}/{total}, {speed:.2f}/s{eta}", file=sys.stderr, flush=True)
