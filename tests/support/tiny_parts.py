"""What tiny checkpoints are put together from: tokenizers, the releases' chat templates, folders."""

import json
from pathlib import Path
from typing import Any

import tiny
import torch
import transformers
from tokenizers.processors import TemplateProcessing
from transformers import GenerationConfig, Qwen2Tokenizer

SIDE, PATCH = 56, 14  # pictures of 4 × 4 patches
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
TOWER = {**SMALL, "image_size": SIDE, "patch_size": PATCH}
TURN, END = "<|im_start|>", "<|im_end|>"
PIXELS = {"height": SIDE, "width": SIDE}
GRID = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]]

IN_PLACE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}PICTURE"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IN_FRONT = (  # as LLaVA's: all pictures of a message, then its texts
    "{% for message in messages %}BEGIN"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}<image>\n{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}TEXT"
    "{% endfor %}END{% endfor %}"
)
LLAVA = IN_FRONT.replace("BEGIN", "{{ message['role'].upper() }}: ").replace(
    "TEXT", "{{ part['text'] + ' ' }}"
).replace("END", "") + ("{% if add_generation_prompt %}ASSISTANT:{% endif %}")
ONEVISION = IN_FRONT.replace("BEGIN", "<|im_start|>{{ message['role'] }} ").replace(
    "TEXT", "\n{{ part['text'] }}"
).replace("END", "<|im_end|>\n") + ("{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
SMOLVLM = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}:{% else %}: {% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% else %}<image>{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{% set first = messages[0]['content'][0]['text'] + '\n\n' %}{% set rest = messages[1:] %}"
    "{% else %}{% set first = '' %}{% set rest = messages %}{% endif %}"
    "{% for message in rest %}<start_of_turn>"
    "{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    "{{ first if loop.first else '' }}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] | trim }}{% endif %}"
    "{% endfor %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def words(template: str, *control: str, end: str = END, begin: str = "", **named: str) -> Qwen2Tokenizer:
    """A tokenizer with these control tokens, of which `named` are attributes of it.

    With `begin` it writes that token in front of every text, as Llama's and Gemma's do.
    """
    trained = json.loads(tiny.tokenizer().backend_tokenizer.to_str())["model"]
    made = Qwen2Tokenizer(
        vocab=trained["vocab"],
        merges=[tuple(pair) for pair in trained["merges"]],
        pad_token="<|endoftext|>",
        eos_token=end,
        chat_template=template,
        **({"extra_special_tokens": named} if named else {}),
    )
    made.add_tokens([TURN, END, *control, *filter(None, [begin])], special_tokens=True)
    if begin:
        made.bos_token = begin
        made.backend_tokenizer.post_processor = TemplateProcessing(
            single=f"{begin} $A",
            pair=f"{begin} $A {begin} $B",
            special_tokens=[(begin, made.convert_tokens_to_ids(begin))],
        )
    return made


def text_of(made: Qwen2Tokenizer, model_type: str = "qwen2", **more: Any) -> dict[str, Any]:
    """The configuration of a small language model."""
    return {
        "model_type": model_type,
        "vocab_size": len(made),
        "num_key_value_heads": 1,
        "max_position_embeddings": 16384,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "pad_token_id": None,
        "eos_token_id": made.eos_token_id,
        **SMALL,
        **more,
    }


def save(
    folder: Path, seed: int, made: Qwen2Tokenizer, pictures: Any, config: Any, **processor: Any
) -> Path:
    """The folder of a random checkpoint; `processor` goes into processor_config.json."""
    torch.manual_seed(seed)
    model = getattr(transformers, config.architectures[0])(config)
    with torch.no_grad():  # at the usual initialisation every answer is one token repeated
        for weight in model.parameters():
            if weight.ndim >= 2:
                weight.normal_(0, 0.15)
    model.generation_config = GenerationConfig(
        eos_token_id=made.eos_token_id, pad_token_id=made.pad_token_id
    )
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    pictures.save_pretrained(folder)
    if processor:
        (folder / "processor_config.json").write_text(json.dumps(processor))
    return folder
