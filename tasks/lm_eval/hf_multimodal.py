"""What lm-evaluation-harness's hf-multimodal (0.4.13) lacks for these tasks. Importing it needs lm-eval.

Both changes leave every other task as it is: without them there is an exception, or no tag.
"""

from typing import Any

from lm_eval.models.hf_vlms import HFMultimodalLM

from f2rcli.tasks.tags import TAGS


def mend() -> None:
    """Makes both changes; once, however many tasks ask for it."""
    if HFMultimodalLM.tok_decode.__module__ != __name__:
        _allow_no_pictures()
        _keep_tags()


def _allow_no_pictures() -> None:
    """A batch in which nothing has a picture is text.

    It would give the processor an empty list of pictures, at which Qwen2-VL's raises an IndexError, and
    one chat without a picture would end the evaluation.
    """
    encode = HFMultimodalLM.tok_batch_multimodal_encode

    def tok_batch_multimodal_encode(
        self: Any, strings: list[str], images: list[Any], **rest: Any
    ) -> Any:
        if any(images):
            return encode(self, strings, images, **rest)
        processor = self.processor
        self.processor = lambda images, **given: processor(**given)
        try:
            return encode(self, strings, images, **rest)
        finally:
            self.processor = processor

    HFMultimodalLM.tok_batch_multimodal_encode = tok_batch_multimodal_encode


def _keep_tags() -> None:
    """Where a tokenizer holds the FFR tags as special tokens, they stay in the answer, which is made of
    them; other special tokens are left out as before."""
    decode = HFMultimodalLM.tok_decode

    def tok_decode(self: Any, tokens: Any, skip_special_tokens: bool = True) -> Any:
        special = {i: str(t) for i, t in self.tokenizer.added_tokens_decoder.items() if t.special}
        if not skip_special_tokens or not set(special.values()) & set(TAGS):
            return decode(self, tokens, skip_special_tokens=skip_special_tokens)
        kept = [token for token in tokens if special.get(token, TAGS[0]) in TAGS]
        return decode(self, kept, skip_special_tokens=False)

    HFMultimodalLM.tok_decode = tok_decode
