"""A prompt made ready once, for all that a step of GRPO does with it.

A step samples a group of completions of one prompt, and scores each by the policy and by the reference.
Done row by row, the prompt and its pictures go through the model twenty times and more. Where the
architecture allows it (`takes_tree`), the prompt is `Shared`: its pictures go through the vision tower
once, here, and it goes through the language model once a rollout and once a scoring. This is exact, as
nothing in front of a completion depends on it. Elsewhere it is `Plain`, and every row is computed whole,
with the same results.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures

from f2rcli.adapters.vlm.inputs import InputBuilder, ModelInput
from f2rcli.adapters.vlm.loading import Loaded, vision_parts
from f2rcli.tasks.errors import InputError

ARCHITECTURES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
MASKED = ("sdpa", "eager")  # attention implementations that take a mask of ours


@dataclass(frozen=True, eq=False)
class Prompt:
    """One prompt on the model's device: its `ids` (1 × length), and the token in a picture's place."""

    ids: Tensor
    image_token_id: int

    @property
    def length(self) -> int:
        return self.ids.shape[1]


@dataclass(frozen=True, eq=False)
class Plain(Prompt):
    """`row` is what the model takes for the prompt, pixels included."""

    row: dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Shared(Prompt):
    """A prompt that completions can share. Nothing else of its pictures is kept.

    `positions` is 3 × 1 × length (time, height, width). `visual` has the vision tower's features of all
    pictures one under the other (visual tokens × width), then for Qwen3-VL those that it adds behind its
    first layers; it is empty without pictures. `placeholder` (1 × width) is that token's embedding.
    """

    positions: Tensor
    visual: tuple[Tensor, ...]
    placeholder: Tensor

    def positions_after(self, begin: int, count: int) -> Tensor:
        """3 × 1 × count positions of a completion's tokens from the begin-th on."""
        # a picture takes as many positions as it is wide or high, not as it has tokens
        first = self.positions.max() + 1 + begin
        return (first + torch.arange(count, device=self.ids.device)).expand(3, 1, -1)

    def seen(self, sampled: int = 0) -> dict[str, Any]:
        """What the model takes in place of the pictures, as a keyword argument.

        `sampled` counts the placeholders that the policy itself has written behind the prompt: they
        are no pictures, and stand for their own embedding.
        """
        if not self.visual:
            return {}
        features, *deeper = self.visual
        nothing = self.placeholder.new_zeros(sampled, features.shape[1])
        output = BaseModelOutputWithDeepstackFeatures(
            pooler_output=(features, self.placeholder.expand(sampled, -1)),  # type: ignore[arg-type]
            deepstack_features=[(layer, nothing) for layer in deeper],  # type: ignore[misc]
        )
        return {"mm_encoder_outputs": {"image": output}}


def encode(loaded: Loaded, one: ModelInput, builder: InputBuilder) -> Prompt:
    """The prompt of a request, its pictures seen once, without gradient.

    Raises InputError for a vision tower that is trained, and for an attention implementation that
    takes no mask of ours.
    """
    base = loaded.base
    seeing = (weight for part in vision_parts(base) for weight in part.parameters())
    if any(weight.requires_grad for weight in seeing):
        raise InputError("GRPO sees each picture once a step", fix="freeze_vision = true in the recipe")
    batch = {name: tensor.to(base.device) for name, tensor in builder.collate([one]).items()}
    ids = batch["input_ids"]
    image_token_id = builder.pictures.visual_token_id
    if not takes_tree(base):
        return Plain(ids, image_token_id, batch)
    grids, types = batch.get("image_grid_thw"), batch["mm_token_type_ids"]
    inside: Any = base.model
    positions, _ = inside.get_rope_index(ids, mm_token_type_ids=types, image_grid_thw=grids)
    with torch.no_grad():
        placeholder = inside.get_input_embeddings()(ids.new_tensor([image_token_id]))
        visual = _visual(inside, batch["pixel_values"], grids) if one.images else ()
    return Shared(ids, image_token_id, positions, visual, placeholder)


def takes_tree(base: PreTrainedModel) -> bool:
    """Whether completions can share their prompt: one of `ARCHITECTURES` with full attention throughout.

    A layer with a sliding window would need a second mask, and other architectures make their positions
    or masks in other ways: they take the plain path. Raises InputError for attention without a mask.
    """
    config: Any = base.config.get_text_config()
    if base.config.model_type not in ARCHITECTURES:
        return False
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
        return False
    if config._attn_implementation not in MASKED:
        raise InputError(
            f"{config._attn_implementation} takes no mask for completions that share their prompt",
            fix=f"load the model with attn_implementation {' or '.join(MASKED)}",
        )
    return True


def _visual(inside: Any, pixels: Tensor, grids: Tensor | None) -> tuple[Tensor, ...]:
    output = inside.get_image_features(pixels, grids, return_dict=True)
    deeper = getattr(output, "deepstack_features", None) or ()
    return tuple(torch.cat(layer) for layer in (output.pooler_output, *deeper))
