"""CLIP-architecture checkpoints through transformers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from f2rcli.adapters.checkpoints import folder_digest
from f2rcli.adapters.encoders.encoder import Embedding, Encoder
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import open_image


class CLIP(Encoder):
    """Both towers of a CLIP in 32 bits. Nothing of it is loaded before the first text or picture.

    Pictures go through Pillow, as in CLIP's own code, also where torchvision is there: the two differ
    in the last bits. A text is cut at the checkpoint's limit (77 tokens for OpenAI's).
    """

    def __init__(self, name: str, folder: Path, device: str | None = None) -> None:
        self.name = name
        self.folder = folder
        self.digest = folder_digest(folder)
        self.device = device

    def texts(self, texts: Sequence[str]) -> list[Embedding]:
        # A control token that somebody typed would end the text where it stands.
        plain = [text.replace("<|", "< |") for text in texts]
        limit = self._model.config.text_config.max_position_embeddings
        lengths = [len(ids) for ids in self._tokenizer(plain)["input_ids"]]
        tokens = self._tokenizer(
            plain, truncation=True, max_length=limit, padding=True, return_tensors="pt"
        )
        vectors = self._features("get_text_features", **tokens)
        return [Embedding(v, n > limit) for v, n in zip(vectors, lengths, strict=True)]

    def images(self, files: Sequence[Path]) -> list[Embedding]:
        pictures = [open_image(file) for file in files]
        pixels = self._image_processor(images=pictures, return_tensors="pt")
        vectors = self._features("get_image_features", pixel_values=pixels["pixel_values"])
        return [Embedding(vector) for vector in vectors]

    def _features(self, method: str, **inputs: Any) -> Any:
        """Rows of length 1."""
        import torch

        given = {name: value.to(self._model.device) for name, value in inputs.items()}
        with torch.inference_mode():
            found = getattr(self._model, method)(**given).pooler_output
            rows = torch.nn.functional.normalize(found.float(), dim=-1).cpu().numpy()
        if not (abs((rows * rows).sum(-1) - 1) < 1e-3).all():  # also of what is not a number
            raise InputError("gives vectors without a direction", where=str(self.folder))
        return rows

    @cached_property
    def _model(self) -> Any:
        import torch
        import transformers

        from f2rcli.adapters.vlm.loading import choose_device

        transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        device = choose_device(None if self.device == "auto" else self.device)
        try:
            config: Any = transformers.AutoConfig.from_pretrained(self.folder, trust_remote_code=False)
            if config.model_type != "clip":
                raise ValueError(f"{config.model_type} is not a CLIP")
            found: Any = transformers.CLIPModel.from_pretrained(
                self.folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=any(self.folder.glob("*.safetensors")),
                ignore_mismatched_sizes=True,  # to be named below
                output_loading_info=True,
            )
        except Exception as error:  # a faulty file makes its reader raise anything
            raise InputError(f"cannot be loaded: {error}", where=str(self.folder)) from None
        model, info = found
        if lacking := sorted([*info["missing_keys"], *info["mismatched_keys"]], key=str):
            raise InputError(  # transformers would fill them with random numbers
                f"{len(lacking)} weights are missing or of another shape, such as {lacking[0]}",
                where=str(self.folder),
            )
        return model.eval().to(device)

    @cached_property
    def _tokenizer(self) -> Any:
        import transformers

        from f2rcli.adapters.vlm.processor import TOKENIZERS

        if not any((self.folder / name).is_file() for name in TOKENIZERS):  # or it would be an empty one
            raise InputError("no tokenizer in it", where=str(self.folder))
        try:
            return transformers.AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False)
        except Exception as error:
            what = f"its tokenizer cannot be loaded: {error}"
            raise InputError(what, where=str(self.folder)) from None

    @cached_property
    def _image_processor(self) -> Any:
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        try:
            return CLIPImageProcessorPil.from_pretrained(self.folder)
        except Exception as error:
            what = f"its image processor cannot be loaded: {error}"
            raise InputError(what, where=str(self.folder)) from None
