"""Who answers in engine.py: ours, a plain loop, and `swift infer`."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import PIL.Image
import torch
from work import Side, Texts, Work

from f2rcli.adapters.checkpoints import find_checkpoint
from f2rcli.adapters.registry import Settings
from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.inputs import InputBuilder
from f2rcli.adapters.vlm.loading import choose_device, load
from f2rcli.tasks.tags import render_content
from f2rcli.tasks.types import Request


@dataclass(frozen=True)
class Case:
    """Requests, the model row's settings (registry.py), and how it is asked (`dtype` and
    `max_new_tokens` are there)."""

    row: dict[str, Any]
    settings: Settings
    requests: list[Request]

    @property
    def folder(self) -> Path:
        return find_checkpoint(self.row["checkpoint"])

    @property
    def adapter(self) -> Path | None:
        name = self.row.get("adapter")
        return find_checkpoint(name, needed="adapter_config.json") if name else None


def ours(case: Case) -> Side:
    vlm = VLM.load(case.row, case.settings)

    def answer(numbers: Sequence[int]) -> Texts:
        asked = [case.requests[number].without_gold() for number in numbers]
        texts = {one.request: one.text for one in vlm.retrieve(asked)}
        return [texts[request.id] for request in asked]

    return Side("ours", answer, Work.of(vlm.base, vlm.processor.image_processor))


class Plain:
    """What a careful outsider writes with transformers alone."""

    def __init__(self, case: Case) -> None:
        self.limit = case.settings.max_new_tokens
        device = choose_device(case.settings.device)
        loaded = load(case.folder, case.adapter, case.settings.dtype or "", device)
        self.model, self.base, self.processor = loaded.model, loaded.base, loaded.processor
        ends = loaded.generation.eos_token_id
        self.ends = ends if isinstance(ends, list) else [ends]
        builder = InputBuilder(loaded.processor)
        self.prompts = [builder.build(request).text for request in case.requests]
        self.files = [[str(i.file) for i in request.dialogue.images] for request in case.requests]

    def side(self) -> Side:
        work = Work.of(self.base, self.processor.image_processor)
        return Side("plain loop", lambda numbers: [self.text(number) for number in numbers], work)

    def text(self, number: int) -> str:
        tokens = self._generate(number)[0].tolist()
        tokens = tokens[:-1] if tokens[-1] in self.ends else tokens
        return str(self.processor.tokenizer.decode(tokens))

    def logprobs(self, number: int) -> list[float]:
        """Of the answer's tokens, the end token's among them."""
        tokens, logits = self._generate(number, output_logits=True)
        steps = zip(logits, tokens.tolist(), strict=True)
        return [float(one[0].log_softmax(-1)[token]) for one, token in steps]

    def _generate(self, number: int, **more: Any) -> tuple[torch.Tensor, Any]:
        pictures = [PIL.Image.open(file).convert("RGB") for file in self.files[number]]
        inputs = self.processor(
            text=[self.prompts[number]], images=[pictures] if pictures else None, return_tensors="pt"
        ).to(self.base.device, self.base.dtype)
        with torch.inference_mode():
            made = self.model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=self.limit,
                return_dict_in_generate=True,
                **more,
            )
        return made.sequences[0, inputs["input_ids"].shape[1] :], made.get("logits")


def difference(case: Case, plain: Plain) -> tuple[int, float]:
    """The number of answer tokens that both generate in the same places, and the largest difference of
    their log-probabilities."""
    vlm = VLM.load(case.row, replace(case.settings, logprobs=True))
    found = {one.request: one.logprobs or [] for one in vlm.retrieve(case.requests)}
    differences = []
    for number, request in enumerate(case.requests):
        mine, other = [token["logprob"] for token in found[request.id]], plain.logprobs(number)
        if len(mine) == len(other):
            differences += [abs(a - b) for a, b in zip(mine, other, strict=True)]
    return len(differences), max(differences)


class Swift(Side):
    """`swift infer` in a process of its own (swift_side.py), with this environment's variables but
    Python's."""

    def __init__(self, case: Case, python: str, folder: Path) -> None:
        super().__init__("ms-swift", lambda numbers: [])
        records, self.log = folder / "records.jsonl", folder / "swift.log"
        with records.open("w", encoding="utf-8") as file:
            for one in case.requests:
                messages = [{"role": "user", "content": render_content(one.prompt)}]
                images = [image.file for image in one.dialogue.images]
                file.write(json.dumps({"messages": messages, "images": images}) + "\n")
        script, settings = Path(__file__).with_name("swift_side.py"), case.settings
        asked = [case.folder, case.adapter or "-", records, settings.dtype, settings.max_new_tokens]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(Path(python).absolute()), str(script.absolute()), *map(str, asked)],
                cwd=folder,  # it leaves folders behind
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**kept, "HF_HUB_OFFLINE": "1"},
            )
        assert self._told() == len(case.requests)

    def take(self, numbers: Sequence[int]) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{json.dumps(list(numbers))}\n")
        self.process.stdin.flush()
        self.answers, counted, phases, cpu, wall = self._told()
        self.counted.append(counted)
        self.phases.append(phases)
        self.cpu.append(cpu)
        self.wall.append(wall)

    def close(self) -> None:
        self.process.communicate()

    def _told(self) -> Any:
        assert self.process.stdout
        if line := self.process.stdout.readline():
            return json.loads(line)
        raise SystemExit(f"ms-swift ended: {self.log.read_text()[-3000:]}")
