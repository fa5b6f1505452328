"""OpenAI's Chat Completions, and whatever else speaks it."""

from typing import Any

from f2rcli.adapters.api.endpoint import CONNECT_SECONDS, NO_KEY, Endpoint, Reply, counted
from f2rcli.adapters.api.messages import Message
from f2rcli.tasks.types import Failure


class ChatCompletions(Endpoint):
    """Pictures are data addresses among the texts."""

    sdk = "openai"
    path = "/chat/completions"
    address = "https://api.openai.com/v1"
    address_variable = "OPENAI_BASE_URL"
    key_variable = "OPENAI_API_KEY"
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

    def client(self, timeout: float) -> Any:
        import openai

        return openai.OpenAI(
            api_key=self.key or NO_KEY,
            base_url=self.url,
            max_retries=0,
            timeout=openai.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)),
        )

    def send(self, client: Any, body: dict[str, Any]) -> str:
        rest = dict(body)
        named = {name: rest.pop(name) for name in ("model", "messages")}
        create = client.chat.completions.with_raw_response.create
        text: str = create(**named, extra_body=rest).http_response.text
        return text

    def read(self, reply: Any) -> Reply:
        choice = reply["choices"][0]
        said, why = choice["message"], choice.get("finish_reason") or ""
        content = said.get("content") or ""
        if isinstance(content, list):  # some servers answer in parts
            content = "".join(part["text"] for part in content if part.get("type") == "text")
        refusal = said.get("refusal")
        failure = None
        if refusal or why.startswith("content_filter"):  # Gemini's goes on: "content_filter: …"
            failure = Failure("refused", str(refusal or why))
        elif why == "length":
            failure = Failure("truncated", "the endpoint's limit on tokens")
        usage = reply.get("usage")
        prompt, output = (counted(usage, name) for name in ("prompt_tokens", "completion_tokens"))
        total = counted(usage, "total_tokens")
        if prompt is not None and output is not None and total is not None:
            output = max(output, total - prompt)  # Gemini leaves the thinking out of the former
        return Reply(
            str(content),
            failure,
            prompt,
            output,
            cached=counted(usage, "prompt_tokens_details", "cached_tokens") or 0,
            reasoning_tokens=counted(usage, "completion_tokens_details", "reasoning_tokens"),
            reasoning=str(said.get("reasoning_content") or said.get("reasoning") or ""),
            model=str(reply.get("model") or ""),
        )
