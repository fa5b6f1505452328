"""Anthropic's Messages."""

from typing import Any

from f2rcli.adapters.api.endings import judge
from f2rcli.adapters.api.endpoint import Endpoint, Reply, counted
from f2rcli.adapters.api.messages import Message

CACHED = {"type": "ephemeral"}


class Messages(Endpoint):
    """Pictures are blocks among the texts.

    Where the prompt asks only after the dialogue, everything before the question is one prefix for all
    its queries, and is marked to be cached. (Our own prompts and the recorded ones ask before it: there
    the prefix ends with the first words, and marking it would only cost more.)
    """

    sdk = "anthropic"
    client_class = "Anthropic"
    path = "/v1/messages"
    address = "https://api.anthropic.com"
    address_variable = "ANTHROPIC_BASE_URL"
    key_variable = "ANTHROPIC_API_KEY"
    key_headers = ("X-Api-Key", "Authorization")
    limit_field = "max_tokens"

    def said(self, message: Message, *, shared: bool) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        for part in message.parts:
            if isinstance(part, str):
                content.append({"type": "text", "text": part})
            else:
                source = {"type": "base64", "media_type": "image/jpeg", "data": part.base64}
                content.append({"type": "image", "source": source})
        if message.question:
            if shared:
                content[-1]["cache_control"] = CACHED
            content.append({"type": "text", "text": message.question})
        body = {"model": self.model, "messages": [{"role": "user", "content": content}]}
        return body | ({"system": message.system} if message.system else {})

    def send(self, client: Any, body: dict[str, Any]) -> str:
        rest = dict(body)  # the SDK no longer knows temperature, which older models still take
        named = {name: rest.pop(name) for name in ("model", "messages", "max_tokens")}
        create = client.messages.with_raw_response.create
        made = create(**named, extra_body=rest, extra_headers=self.headers())
        text: str = made.http_response.text
        return text

    def read(self, reply: Any) -> Reply:
        blocks = [(block["type"], block) for block in reply["content"]]
        text = "".join(block["text"] for kind, block in blocks if kind == "text")
        why, usage = reply.get("stop_reason"), reply.get("usage")
        details = reply.get("stop_details") or {}
        explained = str(details.get("explanation") or "") if why == "refusal" else ""
        failure = judge(why, text, explained)
        cached = counted(usage, "cache_read_input_tokens") or 0
        written = counted(usage, "cache_creation_input_tokens") or 0
        prompt = counted(usage, "input_tokens")
        return Reply(
            text,
            failure,
            None if prompt is None else prompt + cached + written,
            counted(usage, "output_tokens"),
            cached,
            written,
            counted(usage, "output_tokens_details", "thinking_tokens"),
            "\n".join(block["thinking"] for kind, block in blocks if kind == "thinking"),
            str(reply.get("model") or ""),
        )
