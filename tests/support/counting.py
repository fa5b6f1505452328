"""What a model and its image processor were given to do."""

from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedModel

from f2rcli.adapters.vlm.loading import vision_parts


@dataclass
class Counts:
    """`pictures` preprocessed, `patches` through the vision tower, and for every call of the language
    model how many rows of how many places it had."""

    pictures: int = 0
    patches: int = 0
    passes: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, base: PreTrainedModel, processor: Any) -> "Counts":
        """Counts that go up from now on."""
        counts = cls()
        counts._listen(base, processor.image_processor)
        return counts

    def _listen(self, base: Any, images: Any) -> None:
        def on_model(module: Any, args: Any, given: dict[str, Any]) -> None:
            rows, places, _ = given["inputs_embeds"].shape
            self.passes.append((rows, places))

        def on_tower(module: Any, args: Any, given: dict[str, Any]) -> None:
            self.patches += len(args[0] if args else given["hidden_states"])

        def preprocess(*args: Any, **given: Any) -> Any:
            made = before(*args, **given)
            self.pictures += len(made["image_grid_thw"])
            return made

        base.model.language_model.register_forward_pre_hook(on_model, with_kwargs=True)
        vision_parts(base)[0].register_forward_pre_hook(on_tower, with_kwargs=True)
        before, images.preprocess = images.preprocess, preprocess

    @property
    def calls(self) -> int:
        return len(self.passes)

    @property
    def places(self) -> int:
        return sum(rows * places for rows, places in self.passes)

    def prompt_tokens(self, length: int) -> int:
        """Places of the prompt, of that length, in all passes that had it: once a row."""
        return sum(rows * length for rows, places in self.passes if places >= length)

    def clear(self) -> None:
        self.pictures = self.patches = 0
        self.passes.clear()
