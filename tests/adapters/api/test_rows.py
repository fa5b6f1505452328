"""Rows that would keep a request from being what its run says, or a secret from being one."""

from pathlib import Path

import pytest
from fault_server import FaultServer
from short_chats import request

from f2rcli.adapters.api import APIModel
from f2rcli.adapters.api.model import ENDPOINTS
from f2rcli.adapters.registry import load_rows
from f2rcli.tasks.errors import InputError


def refusal(tmp_path: Path, settings: str, kind: str = "openai") -> str:
    path = tmp_path / "行.toml"
    path.write_text(f'["我的"]\nkind = "{kind}"\nmodel = "m"\n{settings}\n', encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_rows(path)
    assert "行.toml, row 我的" in str(refused.value)
    assert "SECRET" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        '{api_key = "SECRET"}',
        '{"X-Api-Key" = "SECRET"}',
        '{authorization = "Bearer SECRET"}',
        '{extra = {headers = [{Authorization = "SECRET"}]}}',
        '{token = "SECRET"}',
        '{metadata = {password = "SECRET"}}',
        '{user = "sk-test-SECRET123"}',
        '{metadata = ["Bearer SECRET"]}',
    ],
)
def test_a_secret_in_a_body_is_refused_and_not_shown(tmp_path: Path, body: str) -> None:
    assert "keys come from the environment" in refusal(tmp_path, f"body = {body}")


@pytest.mark.parametrize(
    "name", ["model", "messages", "temperature", "max_tokens", "stream", "n", "cap"]
)
def test_a_body_sets_nothing_that_f2r_sets(tmp_path: Path, name: str) -> None:
    told = refusal(tmp_path, f'limit_field = "cap"\nbody = {{{name} = 1}}')
    assert told.endswith(f"body sets {name}, which f2r sets itself")


@pytest.mark.parametrize(
    "settings",
    [
        'budget_field = "temperature.x"',
        'budget_field = "model"',
        'budget_field = "max_tokens"',
        'budget_field = "thinking..tokens"',
        'budget_field = ".tokens"',
        'budget_field = "thinking.tokens"\nbody = {thinking = "on"}',
        'budget_field = "thinking.tokens"\nbody = {thinking = {tokens = 3}}',
    ],
)
def test_a_budget_field_that_does_not_fit(tmp_path: Path, settings: str) -> None:
    assert "does not fit" in refusal(tmp_path, f"max_reasoning_tokens = 10\n{settings}")


def test_a_limit_field_that_is_no_limit(tmp_path: Path) -> None:
    assert "limit_field 'temperature'" in refusal(tmp_path, 'limit_field = "temperature"')
    assert "limit_field" in refusal(tmp_path, 'limit_field = "max_completion_tokens"', "anthropic")


def test_a_name_with_a_dot_is_to_be_quoted(tmp_path: Path) -> None:
    path = tmp_path / "行.toml"
    path.write_text('[gpt-9.5]\nkind = "openai"\nmodel = "m"\n')
    with pytest.raises(InputError, match=r'is quoted: \["gpt-9\.5"\]'):
        load_rows(path)


def test_what_a_body_may_say(tmp_path: Path) -> None:
    path = tmp_path / "行.toml"
    body = '{max_thinking_tokens = 3, prompt_cache_key = "a", thinking = {type = "enabled"}, top_p = 1}'
    settings = f'body = {body}\nbudget_field = "thinking.budget_tokens"\ntimeout = 30'
    path.write_text(f'[m]\nkind = "openai"\nmodel = "m"\n{settings}\n')
    assert load_rows(path)["m"].settings["timeout"] == 30


def test_a_row_says_how_long_to_wait(server: FaultServer) -> None:
    server.plan = lambda query, attempt: None if attempt else "timeout"
    endpoint = ENDPOINTS["openai"]({"model": "m", "timeout": 1}, f"{server.url}/v1")
    endpoint.unlock()
    model = APIModel("m", endpoint)
    assert model.environment()["patience"]["timeout"] == 1
    (found,) = model.retrieve([request("你好")])
    assert (found.failure, found.details["attempts"]) == (None, 2)
