"""Prompts for dialogues that come without one, and for trying other words on those that do."""

from dataclasses import dataclass, replace
from importlib import resources
from itertools import pairwise
from pathlib import Path

from f2rcli.tasks import tags
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.jsonstream import read_values
from f2rcli.tasks.records import parse_record
from f2rcli.tasks.types import Dialogue, Image, Prompt, Request, Utterance

OWN = ("en", "zh")


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """The user message with `{query}` (at least once) and `{dialogue}` (exactly once).

    `user` maps a language to its text; the entry "" serves every language. `gap` stands between an
    utterance's text and its images.
    """

    user: dict[str, str]
    system: str | None = None
    gap: str = " "

    @classmethod
    def by_language(cls) -> "PromptTemplate":
        """Our English and Chinese prompts, chosen by the script of the query."""
        return cls({language: _own(language) for language in OWN})

    @classmethod
    def load(cls, name: str) -> "PromptTemplate":
        """`en`, `zh`, or the path of a text file. Raises InputError for an unusable one."""
        if name in OWN:
            return cls({"": _own(name)})
        try:
            text = Path(name).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise InputError(
                f"no such prompt ({error.strerror})", where=name, fix="give en, zh or a text file"
            ) from None
        except UnicodeDecodeError:
            raise InputError("not UTF-8", where=name, fix="save the prompt as UTF-8") from None
        if text.count("{dialogue}") != 1 or "{query}" not in text:
            raise InputError("a prompt needs {query} and, exactly once, {dialogue}", where=name)
        return cls({"": text.removesuffix("\n")})._checked(name)

    @classmethod
    def from_record(cls, path: Path) -> "PromptTemplate":
        """The prompt of the first record of an official file, its query and dialogue taken out."""
        entry = next(read_values(path), None)
        record = entry.value if entry else None
        if not isinstance(record, dict) or "messages" not in record:
            raise InputError("not a file of official records", where=str(path))
        parsed = parse_record(record)
        if parsed.problems:
            what = f"no prompt can be taken from its first record: {parsed.problems[0]}"
            raise InputError(what, where=str(path))
        prompt = parsed.requests[0].prompt
        query = tags.QUERY.search(prompt.head)
        if not query:
            raise InputError("its first record asks after the dialogue", where=str(path))
        head = prompt.head[: query.start(1)] + "{query}" + prompt.head[query.end(1) :]
        last = prompt.turns[-1][-1]
        tail = last[len(last.rstrip()) :] if isinstance(last, str) else ""
        texts = [
            before
            for turn in prompt.turns
            for before, part in pairwise(turn)
            if isinstance(part, int) and isinstance(before, str) and before.rstrip()[-1:] not in ":："
        ]
        gap = texts[0][len(texts[0].rstrip()) :] if texts else " "
        return cls({"": head + "{dialogue}" + tail}, prompt.system, gap)._checked(str(path))

    def _checked(self, where: str) -> "PromptTemplate":
        """Raises InputError if a dialogue in this prompt could not be told from the prompt again."""
        turns = (Utterance(3, "a", "b", (0,)), Utterance(4, "b", "c"))
        probe = Dialogue("", turns, (Image(0, "p"),))
        content = tags.render_content(self.render("query", probe))
        found = tags.UTTERANCE_ID.findall(content), tags.IMAGE_ID.findall(content)
        if found != (["3", "4"], ["0"]):
            raise InputError(
                "the prompt itself has an utterance's or image's tag in it",
                where=where,
                fix="write examples without numbers, such as <|utt_ids_start|>[ids]<|utt_ids_end|>",
            )
        return self

    def render(self, query: str, dialogue: Dialogue) -> Prompt:
        """The prompt for a dialogue. Tags typed by the chatting users are escaped."""
        user = self.user.get("") or self.user["zh" if _is_chinese(query) else "en"]
        head, _, tail = user.rpartition("{dialogue}")
        turns = [tags.render_utterance(utterance, self.gap) for utterance in dialogue.utterances]
        if turns:  # the line break after the dialogue is the template's to write
            turns[-1] = turns[-1][:-1]
        asked = tags.escape(query)
        return Prompt(
            self.system,
            head.replace("{query}", asked),
            tuple(turns),
            tail.replace("{query}", asked),
        )

    def apply(self, request: Request) -> Request:
        """The same request with this prompt in place of its own."""
        return replace(request, prompt=self.render(request.query.text, request.dialogue))


def choose_template(prompt: str | None, prompt_from: Path | None) -> PromptTemplate | None:
    """The template that the options ask for; None: as recorded, or by language."""
    if prompt and prompt_from:
        raise InputError("--prompt and --prompt-from exclude each other")
    if prompt_from:
        return PromptTemplate.from_record(prompt_from)
    return PromptTemplate.load(prompt) if prompt else None


def _own(language: str) -> str:
    folder = resources.files("f2rcli.tasks").joinpath("prompts")
    return folder.joinpath(f"{language}.txt").read_text(encoding="utf-8").removesuffix("\n")


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)
