"""How a check is declared and how it comes to its verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.readiness import CHECKS, CheckError, Findings, readiness
from fixtures.subjects import NOUNS, Reader, Subject, Workload, noun
from reports.words import Verdict

PROSE = """The state that is wanted.

Why: because. How: by looking.
Fix: do it. Does not prove: anything else.
"""


def declare(identity: str = "area.one", doc: str = PROSE, parameters: str = "workload, findings", **more: str) -> None:
    namespace: dict[str, object] = {"__name__": __name__}
    exec(compile(f"def test_it({parameters}): pass", __file__, "exec"), namespace)
    function: Any = namespace["test_it"]
    function.__doc__ = doc.replace(". How:", ".\nHow:").replace(". Does", ".\nDoes")
    readiness(identity, **{"severity": "high", **more})(function)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"identity": "NoDot"}, "not an id"),
        ({"severity": "hihg"}, "did you mean 'high'"),
        ({"ttl": "soon"}, "not a number of days or hours"),
        ({"needs": ("pod",)}, "did you mean 'pods'"),
        ({"consent": "chaos"}, "unknown consent"),
        ({"parameters": "findings"}, "takes one subject"),
        ({"parameters": "workload"}, "takes one subject"),
        ({"doc": "Ensure that it is so."}, "desired state"),
        ({"doc": "x" * 81}, "desired state"),
        ({"doc": "A state.\n\nWhy: because."}, "lacks How:, Fix:, Does not prove:"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_cure(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(CheckError, match=said):
        declare(**wrong)


def findings() -> Findings:
    check = next(iter(CHECKS.values()))
    return Findings(check, Workload({"kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}}))


def test_the_default_verdict_is_error(every_check: None) -> None:
    assert findings().verdict() == (Verdict.ERROR, "the check returned without having examined anything")


def test_a_pass_needs_something_examined_and_one_failure_is_enough(every_check: None) -> None:
    made = findings()
    made.expect(True, "spec.a", expected="x", observed="x")
    assert made.verdict()[0] is Verdict.PASS

    made.expect(False, "spec.b", expected="x", observed=None)

    assert made.verdict()[0] is Verdict.FAIL
    [finding] = made.failures
    assert (finding.at, finding.observed) == ("spec.b", "not set")
    assert finding.look == "kubectl -n shop get deployment web -o yaml"


@pytest.fixture
def every_check() -> None:
    from fixtures.catalogue import load

    assert load()
    assert NOUNS


def test_a_noun_may_be_a_generator_though_its_subjects_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(NOUNS, "thing", raising=False)

    @noun("thing", reads=(), none="there is no thing")
    def things(reader: Reader) -> Iterator[Subject]:
        yield Subject({"kind": "Thing", "metadata": {"name": "one"}})

    found = NOUNS.pop("thing").find(None)  # type: ignore[arg-type]  # it reads nothing
    assert [[one.name for one in found] for _ in range(2)] == [["Thing one"]] * 2
