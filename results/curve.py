"""curve.json: precision and recall of a run at every threshold, from the similarities that it keeps."""

from f2rcli.results.runs import ANSWERS, CURVE, RunFolder
from f2rcli.results.writing import write_json
from f2rcli.tasks.curves import Curve, Similarities, Thresholds
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request, Retrieval


class RunCurve:
    """Adds up what the answers to a run's requests keep of similarities. Most runs keep none."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.curve: Curve | None = None

    def add(self, request: Request, attempt: Retrieval | None) -> None:
        """Raises InputError for similarities that are not of this request's dialogue."""
        if attempt is None or request.gold is None:
            return
        try:
            found = Similarities.of_details(attempt.details, request.dialogue)
        except (ValueError, KeyError, TypeError):
            raise InputError(
                f"the similarities of {request.id} are not of its dialogue",
                where=str(self.run.path / ANSWERS),
                fix="remove the line; its request is then asked again",
            ) from None
        if found is None:
            return
        if self.curve is None:
            kept = self.run.record()["identity"]["model"].get("thresholds")
            self.curve = Curve(Thresholds(**kept) if kept else Thresholds())
        self.curve.add(request.dialogue, found, request.gold)

    def write(self) -> None:
        """Of a run without similarities there is no curve."""
        if self.curve:
            write_json(self.run.path / CURVE, self.curve.result())
