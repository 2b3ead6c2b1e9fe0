"""openapi.json as clients are made from it: valid, named for good, and each operation shown by an example."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from server.core.errors import CATALOGUE
from server.core.http import RequestBody
from server.core.paths import OPENAPI
from server.openapi.examples import EXAMPLES, FACTS, read_examples
from server.openapi.schemas import NameTwice, Schemas

DOCUMENT: dict[str, Any] = msgspec.json.decode(OPENAPI.read_bytes())
COMPONENTS = DOCUMENT["components"]
OPERATIONS: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation for item in DOCUMENT["paths"].values() for operation in item.values()
}
# Bodies that are no JSON: an example would be a heap of bytes.
BYTES = re.compile("octet-stream|application/(pdf|zip|vnd)")


def test_the_document_is_valid_openapi():
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_a_schema_is_named_by_its_struct_and_by_no_file():
    names = list(COMPONENTS["schemas"])
    assert [name for name in names if not re.fullmatch("[A-Z][A-Za-z0-9]+", name)] == []
    assert [schema["title"] for schema in COMPONENTS["schemas"].values()] == names


def test_two_structs_of_one_name_are_refused():
    def made():
        class Decide(RequestBody):
            outcome: str

        return Decide

    with pytest.raises(NameTwice, match="Decide"):
        Schemas([made(), made()], [])


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_each_operation_is_described_and_shown(name):
    """By a request, an answer and an error; each fits the schema beside it."""
    operation = OPERATIONS[name]
    assert operation["description"]
    shown = list(request_examples(operation))
    asks = [item for item in operation.get("parameters", []) if item["required"]]
    assert shown or not asks
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        assert "example" in content or BYTES.search(media_type)
    answers = [
        content
        for status, answer in operation["responses"].items()
        if status.startswith("2")
        for media_type, content in answer.get("content", {}).items()
        if not BYTES.search(media_type)
    ]
    # a former address answers as its new one, whose examples it shares
    assert not answers or operation.get("deprecated") or any("example" in content for content in answers)
    codes = list(errors_of(operation))
    assert codes
    assert set(codes) <= set(COMPONENTS["examples"])
    for schema, value in [
        *shown,
        *((answer["schema"], answer["example"]) for answer in answers if "example" in answer),
    ]:
        hold(schema, value)


def request_examples(operation) -> Iterator[tuple[Any, Any]]:
    for item in [*operation.get("parameters", []), *operation.get("requestBody", {}).get("content", {}).values()]:
        if "example" in item:
            yield item["schema"], item["example"]


def errors_of(operation) -> Iterator[str]:
    """The codes that an operation may answer, each under its own status."""
    for status, answer in operation["responses"].items():
        shared = COMPONENTS["responses"].get(answer.get("$ref", "").rpartition("/")[2])
        for content in (shared or answer).get("content", {}).values():
            for code in content.get("examples", {}):
                assert status in {"default", str(CATALOGUE[code].status)}
                yield code


def hold(schema, value) -> None:
    validator = jsonschema_rs.Draft202012Validator({**schema, "components": COMPONENTS})
    assert [str(iter_error) for iter_error in validator.iter_errors(value)][:3] == []


def test_the_examples_are_those_of_operations_that_exist():
    current = {name for name, operation in OPERATIONS.items() if not operation.get("deprecated")}
    assert set(read_examples().of_operations) == current
    assert {file.stem for file in EXAMPLES.glob("*.json")} == {
        operation["tags"][0].replace(" ", "-") for operation in OPERATIONS.values()
    }


def test_each_tag_is_described():
    assert {operation["tags"][0] for operation in OPERATIONS.values()} == {tag["name"] for tag in DOCUMENT["tags"]}


def test_an_error_tells_its_facts():
    for code, example in read_examples().of_problems.items():
        hold({"$ref": "#/components/schemas/ProblemBody"}, example["value"])
        assert "–" not in example["value"].get("detail", ""), code
    assert set(FACTS) <= set(CATALOGUE)


def test_what_a_desk_or_a_sign_in_sends_is_refused_where_nobody_knows_it():
    """A phone's documents may hold more, and forms are read by name."""
    open_bodies = {
        name
        for name, operation in OPERATIONS.items()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for schema in [resolved(content["schema"])]
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False
    }
    assert open_bodies == {
        "upload_photo",
        "hang_up_posting",
        "import_cross_check",
        "preview_cross_check",
        "preview_import",
        "read_bank_answer",
    }


def resolved(schema):
    return COMPONENTS["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def test_bounds_of_nullable_values_and_of_list_items_are_told():
    filters = COMPONENTS["schemas"]["QueueFilters"]["properties"]["waitedH"]["anyOf"][0]
    assert (filters["minimum"], filters["maximum"]) == (0, 100_000)
    queue = {parameter["name"]: parameter["schema"] for parameter in OPERATIONS["list_queue"]["parameters"]}
    assert queue["waitedH"] == {"maximum": 100_000, "minimum": 0, "type": "integer"}
    people = COMPONENTS["schemas"]["VisitDocument"]["properties"]["investigatorIds"]
    assert (people["maxItems"], people["items"]["format"]) == (6, "uuid")


def test_a_body_may_be_too_large_and_a_list_is_csv_or_xlsx():
    for name, operation in OPERATIONS.items():
        assert "requestBody" not in operation or "413" in operation["responses"], name
        for answer in operation["responses"].values():
            assert all("schema" in header for header in answer.get("headers", {}).values()), name
    exports = [
        operation
        for operation in OPERATIONS.values()
        if "text/csv" in operation["responses"].get("200", {}).get("content", {})
    ]
    assert len(exports) > 25
    for export in exports:
        assert len(export["responses"]["200"]["content"]) == 2


async def test_the_application_serves_the_committed_document(system):
    client = httpx.AsyncClient(transport=httpx.ASGITransport(system.app), base_url="http://zoufang.test")
    answer = await client.get("/schema")
    assert answer.content == OPENAPI.read_bytes()
