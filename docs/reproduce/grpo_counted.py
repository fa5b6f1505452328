"""What a GRPO step of Qwen2-VL-7B takes, counted, not measured: `python grpo_counted.py`.

One prompt of 7,644 tokens, 6,144 of them of 8 pictures, and 8 completions of 40 tokens, at the published
settings: bfloat16, LoRA of rank 8 on all linear layers of the language model, gradient checkpointing.
"Rows" are TRL's: the prompt and its pictures in each of the 8 rows, in rollout, reference and policy;
logits in chunks.

A multiplication with an addition is 2 FLOP. Counted are matrix products; attention's where the mask is
causal at half of its square, and where it is ours at the whole, as kernels do not skip what it hides. A
backward pass through frozen weights costs what the forward pass did, through attention twice as much,
and a checkpointed layer is computed once more. Memory leaves out what lives for a moment: a layer's own
gradients, the vision tower's activations, the allocator's gaps. `tests/training/grpo/test_counted.py`
holds the counting against torch's own.
"""

from dataclasses import dataclass

GB, TERA = 1e9, 1e12


@dataclass(frozen=True)
class Shape:
    """A Qwen2-VL. `patch` is a patch's values, `merged` how many patches are a visual token."""

    hidden: int = 3584
    layers: int = 28
    heads: int = 28
    kv_heads: int = 4
    intermediate: int = 18944
    vocabulary: int = 152064
    vision_hidden: int = 1280
    vision_layers: int = 32
    vision_ratio: int = 4
    patch: int = 3 * 2 * 14 * 14
    merged: int = 4

    @property
    def kv(self) -> int:
        """Width of keys, and of values."""
        return self.hidden // self.heads * self.kv_heads

    @property
    def linear(self) -> list[tuple[int, int]]:
        """Inputs and outputs of a layer's matrices: query, key, value, output, gate, up, down."""
        h, i = self.hidden, self.intermediate
        return [(h, h), (h, self.kv), (h, self.kv), (h, h), (h, i), (h, i), (i, h)]

    @property
    def vision_linear(self) -> list[tuple[int, int]]:
        e, wide = self.vision_hidden, self.vision_hidden * self.vision_ratio
        return [(e, 3 * e), (e, e), (e, wide), (wide, e)]

    @property
    def merger(self) -> list[tuple[int, int]]:
        wide = self.vision_hidden * self.merged
        return [(wide, wide), (wide, self.hidden)]

    def weights(self) -> int:
        layer = size(self.linear) + self.hidden + 2 * self.kv + 2 * self.hidden  # biases, norms
        text = self.layers * layer + self.hidden + 2 * self.vocabulary * self.hidden
        e = self.vision_hidden
        block = size(self.vision_linear) + sum(out for _, out in self.vision_linear) + 4 * e
        merger = size(self.merger) + sum(out for _, out in self.merger) + 2 * e
        return text + self.patch * e + self.vision_layers * block + merger

    def adapter(self, rank: int) -> int:
        return self.layers * rank * sum(into + out for into, out in self.linear)

    def text_flop(self, places: int, pairs: float, rank: int) -> float:
        """All layers of the language model; `pairs` are those of a place and one that it looks at."""
        return 2 * places * (self.layers * size(self.linear) + self.adapter(rank)) + self.seen(pairs)

    def text_backward_flop(self, places: int, pairs: float, rank: int) -> float:
        frozen = 2 * places * self.layers * size(self.linear)
        return frozen + 4 * places * self.adapter(rank) + 2 * self.seen(pairs)

    def seen(self, pairs: float) -> float:
        """Attention: scores, and values by them."""
        return 4 * pairs * self.hidden * self.layers

    def head_flop(self, places: int) -> float:
        return 2 * places * self.hidden * self.vocabulary

    def vision_flop(self, pictures: int, patches: int) -> float:
        """Of pictures of so many patches each."""
        blocks = 2 * patches * size(self.vision_linear) + 4 * patches**2 * self.vision_hidden
        ends = 2 * patches * (self.patch * self.vision_hidden + size(self.merger) / self.merged)
        return pictures * (self.vision_layers * blocks + ends)

    def layer_bytes(self, places: int, rank: int, *, masked: bool, dropout: bool) -> int:
        """What one layer with an adapter in float32 keeps for its backward pass (but not its input).

        In float32 both norms' inputs, and every adapted matrix's input and its product with A; with
        dropout a byte more for each of an input's values. In bfloat16 what attention and the gated layer
        multiply; behind a mask keys and values are repeated for all heads.
        """
        h = self.hidden
        inputs = sum(into for into, _ in self.linear)
        attention = 2 * (2 * h + (2 * h if masked else 2 * self.kv)) + 4 * self.heads
        float32 = 4 * (2 * h + 2 + inputs + rank * len(self.linear))
        return places * (float32 + dropout * inputs + attention + 6 * self.intermediate)


@dataclass(frozen=True)
class Step:
    """`prompt` tokens with `pictures` of `patches` each; `group` completions of `tokens`."""

    prompt: int = 7644
    pictures: int = 8
    patches: int = 4 * 768
    group: int = 8
    tokens: int = 40
    rank: int = 8

    @property
    def branches(self) -> int:
        """Places behind the prompt in a shared row: a last token has nothing to predict."""
        return self.group * (self.tokens - 1)

    def flop(self, shape: Shape, *, shared: bool) -> dict[str, float]:
        """By part of the step."""
        rows = 1 if shared else self.group
        reads = sum(self.prompt + 1 + token for token in range(self.tokens - 1))
        decoded = shape.text_flop(self.branches, self.group * reads, self.rank)
        prefill = rows * shape.text_flop(self.prompt, self.prompt**2 / 2, self.rank)
        if shared:
            places = self.prompt + self.branches
            pairs, kept = float(places**2), 1 + self.branches
        else:
            places = self.group * (self.prompt + self.tokens)
            pairs, kept = self.group * (self.prompt + self.tokens) ** 2 / 2, self.group * self.tokens
        policy = shape.text_flop(places, pairs, self.rank)
        back = shape.text_backward_flop(places, pairs, self.rank)
        return {
            "vision tower": (1 if shared else 3 * self.group)
            * shape.vision_flop(self.pictures, self.patches),
            "rollout, prompt": prefill + shape.head_flop(rows),
            "rollout, completions": decoded + shape.head_flop(self.branches),
            "reference": shape.text_flop(places, pairs, 0) + shape.head_flop(kept),
            "policy, forward": policy + shape.head_flop(kept),
            "policy, computed again and backward": policy + back + shape.head_flop(kept),
        }

    def memory(self, shape: Shape, *, shared: bool, rows: int) -> dict[str, float]:
        """Bytes by kind; `rows` are scored at once. In scoring what is shared is one row."""
        places = self.prompt + self.branches if shared else rows * (self.prompt + self.tokens)
        pixels = 4 * self.group * self.pictures * self.patches * shape.patch
        visual = self.pictures * self.patches // shape.merged
        kept = 1 + self.branches
        layer = shape.layer_bytes(places, self.rank, masked=shared, dropout=True)
        return {
            "weights": 2 * shape.weights(),
            "adapter, gradient, AdamW (float32)": 16 * shape.adapter(self.rank),
            "pictures: features, or pixels of 8 rows": 2 * visual * shape.hidden if shared else pixels,
            "inputs of checkpointed layers": 2 * places * shape.hidden * shape.layers,
            "one layer, computed again": layer,
            "mask, and as a bias": (1 + 2) * places**2 if shared else 0,
            "logits and their gradient": 2 * 2 * kept * shape.vocabulary if shared else 0,
            "a completion's in float32, thrice": 3 * 4 * self.tokens * shape.vocabulary if shared else 0,
        }

    def cache(self, shape: Shape) -> float:
        """The KV cache at the end of a rollout, with either: the prompt's is repeated."""
        return 2 * 2 * shape.kv * shape.layers * self.group * (self.prompt + self.tokens - 1)


def size(matrices: list[tuple[int, int]]) -> int:
    return sum(into * out for into, out in matrices)


def main() -> None:
    shape, step = Shape(), Step()
    print(f"Counted. {shape.weights():,} weights, adapter {shape.adapter(step.rank):,}.\n")
    rows, ours = step.flop(shape, shared=False), step.flop(shape, shared=True)
    rows["all"], ours["all"] = sum(rows.values()), sum(ours.values())
    print("| TFLOP | rows | ours | ratio |\n| --- | --- | --- | --- |")
    for name, value in rows.items():
        print(
            f"| {name} | {value / TERA:,.1f} | {ours[name] / TERA:,.1f} | {value / ours[name]:.1f} × |"
        )
    each = [
        step.memory(shape, shared=False, rows=step.group),
        step.memory(shape, shared=False, rows=1),
        step.memory(shape, shared=True, rows=1),
    ]
    for column in each:
        always = sum(list(column.values())[:3])
        column["all, in scoring"] = sum(column.values())
        column["KV cache"] = step.cache(shape)
        column["all, in the rollout"] = always + step.cache(shape)
    print("\n| GB | 8 rows at once | 8 rows, one by one | ours |\n| --- | --- | --- | --- |")
    for name in each[0]:
        print(f"| {name} | " + " | ".join(f"{column[name] / GB:.2f}" for column in each) + " |")
    print("\n| 8 completions of | TFLOP, rows | ours | ratio | GB in scoring, one by one | ours |")
    print("| --- " * 6 + "|")
    for tokens in (40, 128, 512, 1024):  # the last is the recipe's cap
        longer = Step(tokens=tokens)
        rows_flop, flop = (sum(longer.flop(shape, shared=s).values()) / TERA for s in (False, True))
        plain, packed = (
            sum(longer.memory(shape, shared=s, rows=1).values()) / GB for s in (False, True)
        )
        print(
            f"| {tokens:,} tokens | {rows_flop:,.0f} | {flop:,.0f} | {rows_flop / flop:.1f} × | "
            f"{plain:.1f} | {packed:.1f} |"
        )


if __name__ == "__main__":
    main()
