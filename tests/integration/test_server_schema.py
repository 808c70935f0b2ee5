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
from running_server import RunningServer, running, tiny_settings
from schemathesis import GenerationMode

# Requests per operation; by hand: MIEN_FUZZ=500 pytest tests/integration/test_server_schema.py
EXAMPLES = int(os.environ.get("MIEN_FUZZ", "8"))


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[RunningServer]:
    with running(tiny_settings(tiny_model)) as started:
        yield started


def test_no_request_makes_the_server_fail(server: RunningServer) -> None:
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    statuses: set[int] = set()

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
                response = case.call(timeout=20)
                statuses.add(response.status_code)
                assert response.status_code < 500, case.as_curl_command()

            with contextlib.suppress(Unsatisfiable):  # no wrong request exists without parameters
                fuzz()
    assert {200, 422} <= statuses


def test_the_document_has_examples_and_describes_problems(server: RunningServer) -> None:
    document = httpx.get(f"{server.address}/openapi.json").json()
    assert document["components"]["schemas"]["Recognition"]["examples"][0]["images"][0]["faces"]
    for address, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["description"], address
            assert {"4XX", "5XX"} <= set(operation["responses"])
            assert set(operation["responses"]["4XX"]["content"]) == {"application/problem+json"}, address
    upload = document["paths"]["/v1/recognize"]["post"]["requestBody"]["content"]
    assert {"multipart/form-data", "image/*"} <= set(upload)
