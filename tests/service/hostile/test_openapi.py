"""Every response matches the OpenAPI document, also the response to an invalid request."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi import checks

from app.api.routes import ENDPOINTS
from app.health import Status
from tests.unit.api.scene import AppUnderTest


# Without the checks that reject a 503 or demand an error for an invalid request.
CHECKS = [
    checks.allow_header_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.status_code_conformance,
    checks.unsupported_method,
]
DOCUMENTED = [endpoint.paths[0] for endpoint in ENDPOINTS]


def load_document(*statuses: Status) -> Any:
    """Return the document of an application whose checks have these statuses."""
    scene = AppUnderTest()
    scene.set_statuses(*statuses)
    return schemathesis.openapi.from_asgi("/openapi.json", scene.app)


@pytest.mark.parametrize("path", DOCUMENTED)
@pytest.mark.parametrize("redis", [Status.PASS, Status.FAIL, Status.UNKNOWN])
def test_every_response_is_as_documented(path: str, redis: Status) -> None:
    """Its status, type and body match for any request. Any other method is a 405."""
    document = load_document(Status.PASS, redis)

    @settings(
        max_examples=10,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(case=document[path]["GET"].as_strategy())
    def call(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(checks=CHECKS)

    call()


def test_the_document_is_valid() -> None:
    """It matches the schema of the OpenAPI specification."""
    load_document(Status.PASS, Status.PASS).validate()


def test_the_document_has_an_optional_operator_token() -> None:
    """Every path accepts a JWT as a bearer token, or no token."""
    document = load_document(Status.PASS, Status.PASS).raw_schema
    (name,) = schemes = document["components"]["securitySchemes"]
    described = schemes[name].pop("description")
    assert schemes[name] == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    assert "vitals token" in described
    for path in DOCUMENTED:
        security = document["paths"][path]["get"]["security"]
        assert {tuple(one) for one in security} == {(), (name,)}
