"""What the OpenAPI document says of every answer is so, also of answers to what it forbids."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi import checks

from app.api.routes import ENDPOINTS
from app.health import Status
from tests.api.scene import AppUnderTest


# A 503 is an answer here, and nothing that a prober gets wrong hides what it came for.
SO = [
    checks.allow_header_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.status_code_conformance,
    checks.unsupported_method,
]
DOCUMENTED = [endpoint.paths[0] for endpoint in ENDPOINTS]


def served(*statuses: Status) -> Any:
    """The document, and the application that it speaks of."""
    scene = AppUnderTest()
    scene.set_statuses(*statuses)
    return schemathesis.openapi.from_asgi("/openapi.json", scene.app)


@pytest.mark.parametrize("path", DOCUMENTED)
@pytest.mark.parametrize("redis", [Status.PASS, Status.FAIL, Status.UNKNOWN])
def test_every_answer_is_as_documented(path: str, redis: Status) -> None:
    """Its code, its type and its body, whatever is asked; any other method is a 405."""
    document = served(Status.PASS, redis)

    @settings(
        max_examples=10,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(case=document[path]["GET"].as_strategy())
    def asked(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(checks=SO)

    asked()


def test_the_document_is_one() -> None:
    """By the specification's own schema."""
    served(Status.PASS, Status.PASS).validate()


def test_an_operator_is_documented_who_need_not_be_one() -> None:
    """A bearer's JSON web token, or none, on every path."""
    document = served(Status.PASS, Status.PASS).raw_schema
    (name,) = schemes = document["components"]["securitySchemes"]
    described = schemes[name].pop("description")
    assert schemes[name] == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    assert "vitals token" in described
    for path in DOCUMENTED:
        security = document["paths"][path]["get"]["security"]
        assert {tuple(one) for one in security} == {(), (name,)}
