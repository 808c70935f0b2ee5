"""The OpenAPI document, and a fuzzer that follows it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from running_server import RunningServer, running, tiny_offer
from schemathesis import GenerationMode

from mien.apps.web.settings import ServerSettings

# How many requests an operation gets; by hand: MIEN_FUZZ=500 pytest tests/integration/test_server_schema.py
EXAMPLES = int(os.environ.get("MIEN_FUZZ", "8"))


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[RunningServer]:
    with running(ServerSettings(offer=tiny_offer(tiny_model))) as started:
        yield started


def test_no_request_makes_the_server_fail(server: RunningServer) -> None:
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    tried = []

    for operation in schema.get_all_operations():
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.ok().as_strategy(generation_mode=mode))
            def fuzz(case: schemathesis.Case) -> None:
                answer = case.call(timeout=20)
                tried.append(answer.status_code)
                assert answer.status_code < 500, case.as_curl_command()

            with contextlib.suppress(Unsatisfiable):  # an operation without parameters cannot be asked wrongly
                fuzz()
    assert {200, 422} <= set(tried)


def test_the_document_has_examples_and_says_what_goes_wrong(server: RunningServer) -> None:
    document = httpx.get(f"{server.address}/openapi.json").json()
    assert document["components"]["schemas"]["Recognition"]["examples"][0]["images"][0]["faces"]
    for address, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["description"], address
            for status, answer in operation["responses"].items():
                if status.startswith("4"):
                    assert set(answer["content"]) == {"application/problem+json"}, (address, status)
    upload = document["paths"]["/v1/recognize"]["post"]["requestBody"]["content"]
    assert {"multipart/form-data", "image/jpeg"} <= set(upload)
