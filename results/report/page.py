"""The page itself: numbers and plots are written here, samples by its script from its data."""

import base64
import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import f2rcli
from f2rcli.results.lengths import LENGTHS
from f2rcli.results.report.figures import by_length, differences, failures, requests_of, summary
from f2rcli.results.report.samples import embedded_json, page_data
from f2rcli.results.report.sections import Column, Section
from f2rcli.results.report.thumbnails import EDGE
from f2rcli.tasks.datasets import file_digest
from f2rcli.tasks.types import digest

DIGEST = 12  # characters of a digest that are shown


def render_page(sections: list[Section], notes: list[str], data_root: Path | None = None) -> str:
    """The whole page, the same for the same runs."""
    style, script = _file("page.css"), _file("page.js")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    shown = [_shown(section) for section in sections]
    return environment.from_string(_file("page.html.jinja")).render(
        version=f2rcli.__version__,
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        data=Markup(embedded_json(page_data(sections, data_root))),
        sections=shown,
        notes=notes,
        lengths=list(LENGTHS),
        edge=EDGE,
    )


def _file(name: str) -> str:
    return resources.files("f2rcli.results.report").joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Content-Security-Policy: nothing but this script, this style and pictures inside the page."""
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    ]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _shown(section: Section) -> dict[str, Any]:
    scorers = [column.scorer(section.protocol) for column in section.columns]
    return {
        "title": section.title,
        "synthetic": section.synthetic,
        "basis": requests_of(section),
        "summary": summary(section, scorers),
        "figures": [
            by_length(section),
            failures(section, scorers),
            *([differences(section)] if section.base else []),
        ],
        "sources": [_source(column) for column in section.columns],
    }


def _source(column: Column) -> list[tuple[str, str]]:
    """Where a column's numbers come from, as terms and what they are."""
    if column.record is None:
        known = [
            ("file", str(column.side.source)),
            ("digest of the file", file_digest(column.side.source)[:DIGEST]),
        ]
        return [
            ("name", column.label),
            *known,
            ("provenance", "a bare prediction file: model, data and date are not known"),
        ]
    record, identity = column.record, column.record["identity"]
    session = record["sessions"][-1]
    environment = session.get("environment", {})
    finished = record["finished"] or "interrupted, not finished"
    facts = [
        ("name", column.label),
        ("model", str(record["model"].get("about") or record["model"]["name"])),
        ("run folder", str(column.side.source)),
        ("started", str(record.get("started"))),
        ("finished", str(finished)),
        ("run", digest(identity)[:DIGEST]),
        ("data", f"{identity['data'][:DIGEST]} ({Path(record['task']['path']).name})"),
        ("pictures", identity["images"][:DIGEST] if identity["images"] else "not looked at"),
        ("prompts", identity["prompts"][:DIGEST]),
        ("f2r", f"{environment.get('f2r')}, revision {str(environment.get('revision'))[:DIGEST]}"),
    ]
    if record.get("probe"):
        facts.insert(
            1,
            (
                "probe",
                f"{record['probe']['name']}, seed {record['probe']['seed']}: requests were changed",
            ),
        )
    return facts
