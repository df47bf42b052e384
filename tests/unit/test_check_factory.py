from app.check_factory import DeferredProbe, make_check
from app.checks.kind import CheckSpec, Resources
from app.checks.tcp import KIND, TcpOptions


TERMS = {
    "interval": 2,
    "timeout": 3,
    "failure_threshold": 4,
    "success_threshold": 5,
    "required": False,
}


def test_a_check_has_the_terms_of_its_options() -> None:
    spec = CheckSpec("port", KIND, TcpOptions.model_validate({"url": "tcp://127.0.0.1:1", **TERMS}))
    check = make_check(spec, DeferredProbe(spec, Resources(str, 0)))
    assert {term: getattr(check, term) for term in TERMS} == TERMS
