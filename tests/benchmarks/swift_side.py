"""`swift infer` as a side of engine.py, run by the Python of an environment of ms-swift's own:

    python swift_side.py CHECKPOINT ADAPTER_OR_- RECORDS DTYPE MAX_NEW_TOKENS

It loads as `swift infer` does, and answers by its loop as often as it is told to: a line of requests'
numbers in, a line of JSON out.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

import torch
from swift.pipelines.infer.infer import SwiftInfer
from work import Side, Texts, Work


def main() -> None:
    checkpoint, adapter, records, dtype, limit = sys.argv[1:]
    out, sys.stdout = sys.stdout, sys.stderr  # it prints
    torch.set_num_threads(1)
    flags = ["--model", checkpoint, "--model_type", "qwen2_vl", "--template", "qwen2_vl", "--system", ""]
    flags += ["--adapters", adapter, "--load_args", "false"] if adapter != "-" else []
    flags += ["--val_dataset", records, "--load_from_cache_file", "false", "--torch_dtype", dtype]
    flags += ["--infer_backend", "transformers", "--max_batch_size", "1", "--temperature", "0"]
    flags += ["--max_new_tokens", limit]
    pipeline: Any = SwiftInfer(flags)
    engine, template = pipeline.infer_engine, pipeline.template
    base = engine.model.get_base_model() if adapter != "-" else engine.model
    template.image_token_id = base.config.image_token_id  # its own is that of Qwen's vocabulary
    asked, config = list(pipeline._prepare_val_dataset()), pipeline.args.get_request_config()

    def answer(numbers: Sequence[int]) -> Texts:
        chosen = [dict(asked[number]) for number in numbers]
        return [one.choices[0].message.content for one in engine.infer(chosen, config, use_tqdm=False)]

    side = Side("ms-swift", answer, Work.of(base, template.processor.image_processor))
    print(json.dumps(len(asked)), file=out, flush=True)
    for line in sys.stdin:
        side.take(json.loads(line))
        told = [side.answers, side.counted[-1], side.phases[-1], side.cpu[-1], side.wall[-1]]
        print(json.dumps(told), file=out, flush=True)


if __name__ == "__main__":
    main()
