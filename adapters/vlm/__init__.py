"""Open vision-language models through transformers."""

from f2rcli.adapters.vlm.model import VLM

__all__ = ["VLM"]
