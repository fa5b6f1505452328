"""The one error type that a user is meant to read."""

from f2rcli.tasks.visible import visible


class InputError(Exception):
    """Unusable input: what is wrong, where it is, and what to do about it.

    The command line prints it as a single line and exits with status 2. Everything that a user can
    mend (a file, an option, a missing checkpoint) is raised as this; any other exception is a bug
    and keeps its traceback.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def at(self, where: str) -> "InputError":
        """The same error with its place, for a caller that knows the file and the record."""
        return InputError(self.what, where=where, fix=self.fix)

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        line = f"{head}; {self.fix}" if self.fix else head
        return visible(" ".join(line.split()))  # one line, whatever a file or a library put into it


def cut(said: object, length: int = 200) -> str:
    """What a library says, for a line of ours: in one line, and no more of it than is read."""
    line = " ".join(str(said).split()) or type(said).__name__
    return line if len(line) <= length else f"{line[:length].rstrip()} …"
