"""Pictures of dialogues, made small enough for a page."""

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path

from f2rcli.tasks.datasets import file_digest
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import ImageFolder, open_image

EDGE = 160  # pixels at most
QUALITY = 70  # of WebP: some 4 kB for a photo


@dataclass
class Thumbnails:
    """Every distinct picture once, whatever its files are called: `pictures` holds [data URI, width,
    height]."""

    pictures: list[tuple[str, int, int]] = field(default_factory=list)
    _by_file: dict[Path, int] = field(default_factory=dict)
    _by_content: dict[str, int] = field(default_factory=dict)

    def place(self, path: str, folders: list[ImageFolder]) -> int | str:
        """The place in `pictures` of an image path's file, or why there is no picture."""
        why = ""
        for folder in folders:
            try:
                return self._place(folder.resolve(path))
            except (InputError, OSError) as error:
                why = why or (error.what if isinstance(error, InputError) else str(error.strerror))
        return why

    def _place(self, file: Path) -> int:
        if file not in self._by_file:
            content = file_digest(file)
            if content not in self._by_content:
                self.pictures.append(_thumbnail(file))
                self._by_content[content] = len(self.pictures) - 1
            self._by_file[file] = self._by_content[content]
        return self._by_file[file]


def _thumbnail(file: Path) -> tuple[str, int, int]:
    picture = open_image(file)
    picture.thumbnail((EDGE, EDGE))
    written = io.BytesIO()
    picture.save(written, "WEBP", quality=QUALITY)
    text = base64.b64encode(written.getvalue()).decode("ascii")
    return f"data:image/webp;base64,{text}", picture.width, picture.height
