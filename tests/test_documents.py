"""What can rot: openapi.json, the README's tables and scripts, the version, the changelog."""

import json
import re
import tomllib
from collections.abc import Iterator

import pytest
from openapi_spec_validator import validate

from service.api.negotiation import IMAGE_FORMS
from service.app import VERSION, create_app
from service.settings import Settings
from tests.conftest import ROOT
from tests.documents import README, TABLES, MissingMarkers, with_tables

OPENAPI = ROOT / "openapi" / "openapi.json"
AGAIN = "run `make openapi`"

Json = dict[str, object]


@pytest.fixture(scope="module")
def document() -> Json:
    """The OpenAPI document of the app as it ships."""
    return json.loads(json.dumps(create_app(Settings(device="cpu")).openapi()))


def resolved(schema: Json, document: Json) -> Json:
    if "$ref" not in schema:
        return schema
    return document["components"]["schemas"][str(schema["$ref"]).rpartition("/")[2]]


def bodies(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Path, media type and description of each request body."""
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
                yield path, media_type, body


def test_openapi_json_is_the_apps_own(document: Json) -> None:
    assert json.loads(OPENAPI.read_text()) == document, AGAIN


def test_the_document_is_valid_openapi(document: Json) -> None:
    validate(document)


def test_every_operation_is_documented_with_its_answers(document: Json) -> None:
    paths = {
        "/sample",
        "/decode",
        "/encode",
        "/reconstruct",
        "/models",
        "/models/{name}",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/{name}",
        "/v2/models/{name}/ready",
        "/v2/models/{name}/infer",
        "/v2/models/{name}/versions/{version}",
        "/v2/models/{name}/versions/{version}/ready",
        "/v2/models/{name}/versions/{version}/infer",
        "/livez",
        "/readyz",
        "/metrics",
    }
    assert paths <= set(document["paths"])
    for path in ("/sample", "/decode", "/reconstruct"):
        answers = document["paths"][path]["post"]["responses"]
        assert set(answers["200"]["content"]) == {form.value for form in IMAGE_FORMS}
        assert {"400", "401", "404", "406", "408", "413", "415", "422", "429", "500", "503", "504"} <= set(
            answers
        )


def answers(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Path, status and description of each answer."""
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                yield path, status, answer


def is_probe(path: str) -> bool:
    """Whether 503 is an answer of this path and no error."""
    return path in ("/livez", "/readyz") or (path.startswith("/v2/") and path.endswith(("/live", "/ready")))


def test_every_error_in_the_document_is_a_problem_or_the_protocols_but_a_probe_that_says_no(
    document: Json,
) -> None:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    of_protocol = {"application/json": {"schema": {"$ref": "#/components/schemas/ProtocolError"}}}
    for path, status, answer in answers(document):
        is_error = status >= "400" and not (status == "503" and is_probe(path))
        error = of_protocol if path.startswith("/v2") else problem
        assert (answer.get("content") == error) == is_error, f"{path} {status}"


def test_every_answer_names_the_headers_that_a_client_needs(document: Json) -> None:
    needed = {"401": {"WWW-Authenticate"}, "429": {"Retry-After"}, "503": {"Retry-After"}}
    for path, status, answer in answers(document):
        expected = set() if is_probe(path) else needed.get(status, set())
        assert {"X-Request-ID", "X-Model-Version"} | expected <= set(answer["headers"]), f"{path} {status}"
    assert "X-Seed" in document["paths"]["/sample"]["post"]["responses"]["200"]["headers"]


def test_every_request_body_has_an_example(document: Json) -> None:
    without = [
        f"{path} {media_type}"
        for path, media_type, body in bodies(document)
        if not {"example", "examples"} & (body.keys() | resolved(body["schema"], document).keys())
    ]
    assert list(bodies(document))
    assert without == []


def test_every_reference_leads_somewhere_and_to_every_part(document: Json) -> None:
    references = set(re.findall(r'"\$ref": "#/components/(\w+)/([^"]+)"', json.dumps(document)))
    parts = {
        (kind, name) for kind in ("schemas", "headers", "parameters") for name in document["components"][kind]
    }
    assert references == parts


@pytest.mark.parametrize("name", TABLES)
def test_the_readme_has_the_table_that_is_generated(name: str) -> None:
    assert TABLES[name]() in README.read_text(), AGAIN


def test_writing_the_tables_again_changes_nothing() -> None:
    text = README.read_text()
    assert with_tables(text) == text, AGAIN


def test_a_document_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(MissingMarkers, match="settings"):
        with_tables("# A title\n")


def test_every_setting_is_in_the_readme() -> None:
    text = README.read_text()
    for name in Settings.model_fields:
        assert f"VAE_{name.upper()}" in text


def test_every_curl_script_is_in_the_readme_and_every_one_there_exists() -> None:
    named = set(re.findall(r"openapi/curl/(\w+\.sh)", README.read_text()))
    assert named == {path.name for path in (ROOT / "openapi" / "curl").iterdir()}


def test_every_link_of_the_readme_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#\s]+)", README.read_text())
    for link in links:
        assert "://" in link or (ROOT / link).exists(), link


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|; )(?:\w+=\S+ )*make ([a-z]+)", README.read_text(), re.MULTILINE))
    assert named
    assert named <= targets


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


def test_the_changelog_begins_with_what_is_unreleased_or_with_this_version() -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings
    assert headings[0] in ("Unreleased", VERSION)
