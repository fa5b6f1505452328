"""OpenAI's Chat Completions, and whatever else speaks it."""

from typing import Any

from f2rcli.adapters.api.endings import judge
from f2rcli.adapters.api.endpoint import Endpoint, Reply, counted
from f2rcli.adapters.api.failures import AttemptError
from f2rcli.adapters.api.messages import Message


class ChatCompletions(Endpoint):
    """Pictures are data addresses among the texts."""

    sdk = "openai"
    client_class = "OpenAI"
    path = "/chat/completions"
    address = "https://api.openai.com/v1"
    address_variable = "OPENAI_BASE_URL"
    key_variable = "OPENAI_API_KEY"
    key_headers = ("Authorization",)
    limit_field = "max_tokens"

    def said(self, message: Message, *, shared: bool) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        for part in [*message.parts, message.question]:
            if not isinstance(part, str):
                url = f"data:image/jpeg;base64,{part.base64}"
                content.append({"type": "image_url", "image_url": {"url": url}})
            elif content and content[-1]["type"] == "text":
                content[-1]["text"] += part
            elif part.strip():
                content.append({"type": "text", "text": part})
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if message.system is not None:
            messages.insert(0, {"role": "system", "content": message.system})
        return {"model": self.model, "messages": messages}

    def send(self, client: Any, body: dict[str, Any]) -> str:
        rest = dict(body)
        named = {name: rest.pop(name) for name in ("model", "messages")}
        create = client.chat.completions.with_raw_response.create
        made = create(**named, extra_body=rest, extra_headers=self.headers())
        text: str = made.http_response.text
        return text

    def read(self, reply: Any) -> Reply:
        choice = reply["choices"][0]
        said, why = choice["message"], choice.get("finish_reason")
        text = _text(said.get("content"))
        if not text.strip() and said.get("tool_calls"):
            why = "tool_calls"
        failure = judge(why, text, str(said.get("refusal") or ""))
        usage = reply.get("usage")
        prompt, output = (counted(usage, name) for name in ("prompt_tokens", "completion_tokens"))
        total = counted(usage, "total_tokens")
        if prompt is not None and output is not None and total is not None:
            output = max(output, total - prompt)  # Gemini leaves the thinking out of the former
        return Reply(
            text,
            failure,
            prompt,
            output,
            cached=counted(usage, "prompt_tokens_details", "cached_tokens") or 0,
            reasoning_tokens=counted(usage, "completion_tokens_details", "reasoning_tokens"),
            reasoning=str(said.get("reasoning_content") or said.get("reasoning") or ""),
            model=str(reply.get("model") or ""),
        )


def _text(content: Any) -> str:
    """What was said, as a text or in parts (some servers'); "" for nothing. Raises AttemptError for
    content of another type."""
    if isinstance(content, list):
        texts = [part["text"] for part in content if part.get("type") == "text"]
        if texts or not content:
            return "".join(texts)
    if content is None or isinstance(content, str):
        return content or ""
    raise AttemptError(f"the answer is no text but {str(content)[:100]!r}", again=True, lost=True)
