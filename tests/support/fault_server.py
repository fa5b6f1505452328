"""A server on this machine that speaks both APIs' wire formats, and fails as a plan says.

A fault is a word: an HTTP status ("429", "500", "529", …), "429-after" (with Retry-After), "cut",
"timeout", "malformed", "foreign" (JSON of something else), or an answer that is none: "refusal",
"filtered", "length", "empty", "ends-WORD" (with the answer, or without: "ends-WORD-empty"; "ends-" has
no ending). "400-long" says so much before it repeats the key that it is shortened, "307-URL" points to
another address, "escaped" and "slashed" repeat what they say as JSON may escape it. None: a good answer.
"""

import base64
import contextlib
import hashlib
import io
import json
import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import official
import PIL.Image

Plan = Callable[[str, int], str | None]
RETRYABLE = (
    "429",
    "429-after",
    "500",
    "502",
    "529",
    "408",
    "409",
    "cut",
    "timeout",
    "malformed",
    "foreign",
)
AFTER = 0.02  # seconds that Retry-After asks for
HANG = 1.5  # seconds that a "timeout" says nothing
QUERY = re.compile(r"<\|query_start\|>(.*?)<\|query_end\|>", re.DOTALL)


def faults(seed: int, share: float, kinds: tuple[str, ...] = RETRYABLE) -> Plan:
    """The same faults for the same requests and attempts, in whatever order they come."""

    def plan(query: str, attempt: int) -> str | None:
        rng = random.Random(f"{seed} {query} {attempt}")
        return rng.choice(kinds) if rng.random() < share else None

    return plan


@dataclass
class Received:
    """A request as it arrived, and what it was answered with."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    size: int
    query: str
    fault: str | None

    @property
    def content(self) -> list[Any]:
        """The user's content: texts, and pictures as decoded images."""
        found: list[Any] = []
        for part in self.body["messages"][-1]["content"]:
            if part["type"] == "text":
                found.append(part["text"])
            else:
                data = part.get("source", {}).get("data") or part["image_url"]["url"].partition(",")[2]
                found.append(PIL.Image.open(io.BytesIO(base64.b64decode(data, validate=True))))
        return found


@dataclass
class FaultServer:
    """What was asked of it (`received`), and how often each query was given a good answer."""

    plan: Plan = lambda query, attempt: None
    says: Callable[[str], str] = lambda query: official.answer([len(query) % 5])
    usage: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    serves: str = ""  # the model that it says has answered; else the one that was asked for
    delay: float = 0.0
    received: list[Received] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    url: str = ""
    most_at_once: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arrived(self, path: str, headers: dict[str, str], raw: bytes) -> Received:
        body = json.loads(raw)
        content = body["messages"][-1]["content"]
        text = "".join(part.get("text", "") for part in content)
        asked = QUERY.search(text)
        query = asked[1] if asked else hashlib.sha256(text.encode()).hexdigest()
        with self._lock:
            one = Received(path, headers, body, len(raw), query, self.plan(query, self.asked[query]))
            self.asked[query] += 1
            self.received.append(one)
            if one.fault is None:
                self.answered[query] += 1
        return one

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1


@contextlib.contextmanager
def serving(**settings: Any) -> Iterator[FaultServer]:
    """A server for as long as the test needs it."""
    state = FaultServer(**settings)

    class Handler(_Handler):
        server_state = state

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that was cut off, or that gave up

    server = Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: FaultServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        state = self.server_state
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        with state.counted():
            one = state.arrived(self.path, {k.lower(): v for k, v in self.headers.items()}, raw)
            time.sleep(HANG if one.fault == "timeout" else state.delay)
            anthropic = self.path == "/v1/messages"
            if one.fault == "timeout":
                self.close_connection = True
            elif one.fault == "cut":
                self._write(200, b'{"id": "half', {"Content-Length": "4000"})
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            elif one.fault == "malformed":
                self._write(200, b"<html>a proxy's page", {"Content-Type": "application/json"})
            elif one.fault == "foreign":
                self._send(200, {"object": "list", "data": []})
            elif one.fault and one.fault[:3].isdigit():
                self._fail(one, anthropic)
            else:
                text = json.dumps((_message if anthropic else _completion)(one, state))
                said = state.says(one.query)
                points = "".join(f"\\u{ord(sign):04X}" for sign in said)
                forms = {"escaped": points, "slashed": said.replace("/", "\\/")}
                text = text.replace(said, forms.get(one.fault or "", said))
                self._write(200, text.encode(), {"Content-Type": "application/json"})

    def _fail(self, one: Received, anthropic: bool) -> None:
        assert one.fault
        status, _, more = one.fault.partition("-")
        wait = str(AFTER) if more == "after" else more
        headers = {"Retry-After": wait} if wait[:1].isdigit() else {}
        shown = one.headers.get("authorization", "")
        message = f"no {status} for you, who came with {shown}"  # as careless servers do
        message = f"{'x' * 280} {shown.removeprefix('Bearer ')}" if more == "long" else message
        headers = {"Location": more} if more.startswith("http") else headers
        code = more if more and not more.isdigit() and more != "after" else None
        error = {"type": f"error_{status}", "message": message, "param": None, "code": code}
        told = {"type": code or "x", "message": message}
        value = {"type": "error", "error": told} if anthropic else {"error": error}
        self._send(int(status), value, headers)

    def _send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value, ensure_ascii=False).encode()
        self._write(status, data, {"Content-Type": "application/json", **(headers or {})})

    def _write(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        lines = {"Content-Length": str(len(data)), **headers}
        head = f"HTTP/1.1 {status} x\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"
        self.wfile.write(head.encode() + data)  # at once: two writes would wait for each other


def _completion(one: Received, state: FaultServer) -> dict[str, Any]:
    text = "" if (one.fault or "").endswith("empty") else state.says(one.query)
    why = _ending(one, {"length": "length", "filtered": "content_filter"}, "stop")
    refusal = "I cannot help with that" if one.fault == "refusal" else None
    message = {"role": "assistant", "content": None if refusal else text, "refusal": refusal}
    usage = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": state.serves or one.body["model"],
        "choices": [{"index": 0, "message": message | state.extra, "finish_reason": why}],
        "usage": usage | state.usage,
    }


def _message(one: Received, state: FaultServer) -> dict[str, Any]:
    none = (one.fault or "").endswith(("empty", "refusal"))
    said = [] if none else [{"type": "text", "text": state.says(one.query)}]
    why = {"length": "max_tokens", "refusal": "refusal", "filtered": "refusal"}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": state.serves or one.body["model"],
        "content": [*state.extra.get("content", []), *said],
        "stop_reason": _ending(one, why, "end_turn"),
        "stop_sequence": None,
        "usage": {"input_tokens": 1000, "output_tokens": 50} | state.usage,
    }


def _ending(one: Received, known: dict[str, str], well: str) -> str | None:
    """Why the answer ended, in the API's words, or in those of an "ends-WORD"."""
    fault = one.fault or ""
    if not fault.startswith("ends-"):
        return known.get(fault, well)
    return fault.removeprefix("ends-").removesuffix("empty").removesuffix("-") or None
