"""Whole runs on snapshots: the verdict, the exit code, and that nothing unproved ever reads as ready."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.core.suite_runs import BAD, DEADLINE, GOOD, ROOT, run_suite, snapshot

ONE = "pod-security.no-privilege-escalation"
MINE = "mine.answer"
CHECK = '''
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Workload


@readiness("mine.answer", severity="high")
def test_answer(workload: Workload, findings: Findings) -> None:
    """The answer is right.

    Why: it matters.
    How: by asking.
    Fix: think again.
    Does not prove: the question.
    """
    {body}
'''


def policy(required: str = ONE, **more: str) -> str:
    """A policy file that requires one property, beside what no run of these tests has to prove."""
    lines = [
        f"profile: {more.pop('profile', 'baseline')}",
        f"require: [{required}]",
        'not_required: {"*": only one matters here}',
    ]
    return "\n".join([*lines, *more.values()]).replace('{"*": only one matters here}', _all_but(required))


def _all_but(required: str) -> str:
    from fixtures.catalogue import load

    others = [name for name in load() if name != required]
    return "{" + ", ".join(f"{name}: not for this test" for name in others) + "}"


def mine(folder: Path, body: str) -> str:
    place = folder / "own_checks"
    place.mkdir()
    (place / "test_mine.py").write_text(CHECK.replace("{body}", body))
    return str(place)


def test_ready_only_when_what_is_required_was_proved(tmp_path: Path) -> None:
    done = run_suite(tmp_path, *snapshot(tmp_path, GOOD, policy=policy()))

    assert (done.code, done.verdict()["verdict"]) == (0, "READY"), done.said
    assert "READY" in done.said
    [record] = done.records(ONE)
    assert (record["subject"], record["verdict"], record["examined"]) == ("Deployment shop/web", "pass", 1)


def test_one_failing_subject_makes_it_not_ready(tmp_path: Path) -> None:
    done = run_suite(tmp_path, *snapshot(tmp_path, GOOD, BAD, policy=policy()))

    assert (done.code, done.verdict()["verdict"]) == (1, "NOT READY"), done.said
    assert {record["subject"]: record["verdict"] for record in done.records(ONE)} == {
        "Deployment shop/bad": "fail",
        "Deployment shop/web": "pass",
    }
    assert "expected  allowPrivilegeEscalation: false" in done.said
    assert "kubectl -n shop get deployment bad -o yaml" in done.said


def test_a_waiver_counts_until_its_last_day_and_is_shown(tmp_path: Path) -> None:
    text = f"""waivers:
  - {{property: {ONE}, subjects: ["Deployment shop/bad"], reason: legacy, owner: a, approver: b, expires: 2099-01-01}}
  - {{property: {ONE}, subjects: ["Deployment gone/*"], reason: gone, owner: a, approver: b, expires: 2099-01-01}}"""
    done = run_suite(tmp_path, *snapshot(tmp_path, GOOD, BAD, policy=policy(waivers=text)))

    assert (done.code, done.verdict()["verdict"]) == (0, "READY"), done.said
    waived = [record for record in done.records(ONE) if record["verdict"] == "waived"]
    assert [record["waiver"]["reason"] for record in waived] == ["legacy"]
    run = (done.bundle / "run.json").read_text()
    assert '"unused"' in run
    assert '"used"' in run


def test_an_expired_waiver_gives_the_failure_back(tmp_path: Path) -> None:
    text = f"""waivers:
  - {{property: {ONE}, subjects: ["*"], reason: legacy, owner: a, approver: b, expires: 2020-01-01}}"""
    done = run_suite(tmp_path, *snapshot(tmp_path, BAD, policy=policy(waivers=text)))

    assert done.code == 1, done.said
    assert '"expired"' in (done.bundle / "run.json").read_text()


@pytest.mark.parametrize(
    "left_out",
    [
        ["--property", "pod-security.run-as-non-root"],
        ["-k", "not privileges"],
        ["--deselect", "suites/pod_security/test_privileges.py"],
    ],
    ids=lambda options: options[0],
)
def test_what_was_not_selected_is_never_a_pass(left_out: list[str], tmp_path: Path) -> None:
    done = run_suite(tmp_path, *snapshot(tmp_path, GOOD, policy=policy()), *left_out)

    assert (done.code, done.verdict()["verdict"]) == (6, "INCOMPLETE"), done.said


def test_half_of_a_property_is_not_the_property(tmp_path: Path) -> None:
    other = GOOD.replace("namespace: shop", "namespace: payments")
    done = run_suite(tmp_path, *snapshot(tmp_path, GOOD, other, policy=policy()), "-k", "not payments")

    assert (done.code, done.verdict()["verdict"]) == (6, "INCOMPLETE"), done.said
    verdicts = {record["subject"]: record["verdict"] for record in done.records(ONE)}
    assert verdicts == {"Deployment shop/web": "pass", "Deployment payments/web": "not-assessed"}


@pytest.mark.parametrize(
    ("body", "verdict", "code"),
    [
        ("findings.expect(True, workload, expected='x', observed='x')", "pass", 0),
        ("pass", "error", 1),
        ("raise RuntimeError('boom')", "error", 1),
        ("assert workload.replicas == 7", "fail", 1),
        ("import pytest; pytest.skip('not today')", "not-assessed", 6),
        ("findings.not_assessed('no right')", "not-assessed", 6),
        ("findings.not_applicable('there is none')", "not-applicable", 0),
        ("findings.inconclusive('too few samples')", "error", 1),
        ("import sys; sys.exit(0)", "error", 1),
    ],
)
def test_how_a_check_of_ones_own_ends(body: str, verdict: str, code: int, tmp_path: Path) -> None:
    own = mine(tmp_path, body)
    options = [*snapshot(tmp_path, GOOD), "--property", MINE]
    done = run_suite(tmp_path, *options, paths=("suites", own))

    [record] = done.records(MINE)
    assert record["verdict"] == verdict, done.said
    assert done.verdict()["outcomes"][MINE] == verdict
    if code == 1:
        assert done.code == 1, done.said


def test_an_undeclared_read_is_an_error(tmp_path: Path) -> None:
    own = mine(tmp_path, "pass").rstrip()
    path = Path(own, "test_mine.py")
    body = "inventory.objects('services'); findings.expect(True, workload, expected='x', observed='x')"
    path.write_text(CHECK.replace("{body}", body).replace("findings: Findings)", "findings: Findings, inventory)"))
    done = run_suite(tmp_path, *snapshot(tmp_path, GOOD), "--property", MINE, paths=("suites", own))

    [record] = done.records(MINE)
    assert record["verdict"] == "error"
    assert "reads services without declaring it" in record["reason"]


def test_xdist_gives_the_same_records(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    options = snapshot(tmp_path, GOOD, BAD, policy=policy())
    alone = run_suite(tmp_path / "one", *options)
    spread = run_suite(tmp_path / "two", *options, "-n", "2")

    assert alone.code == spread.code == 1, spread.said
    assert verdicts(alone.bundle) == verdicts(spread.bundle)


def verdicts(bundle: Path) -> list[tuple[str, str, str]]:
    import json

    lines = [json.loads(line) for line in (bundle / "records.jsonl").read_text().splitlines()]
    return sorted((line["property"], line["subject"], line["verdict"]) for line in lines)


def test_a_worker_that_dies_is_an_error(tmp_path: Path) -> None:
    own = mine(tmp_path, "import os; os._exit(9)")
    done = run_suite(tmp_path, *snapshot(tmp_path, GOOD), "--property", MINE, "-n", "1", paths=("suites", own))

    assert done.verdict()["outcomes"][MINE] == "error", done.said
    assert done.code == 1


@pytest.mark.parametrize("granularity", ["subject", "namespace", "cluster"])
def test_granularity_changes_the_items_and_not_the_records(granularity: str, tmp_path: Path) -> None:
    options = snapshot(tmp_path, GOOD, BAD, policy=policy())
    done = run_suite(tmp_path, *options, "--granularity", granularity, "--property", ONE, "-v")

    assert len(done.records(ONE)) == 2
    assert done.said.count("test_no_container_can_gain_privileges[") >= (2 if granularity == "subject" else 1)


def test_ctrl_c_keeps_what_was_recorded_and_says_incomplete(tmp_path: Path) -> None:
    own = mine(tmp_path, "import time; open(__file__ + '.started', 'w').close(); time.sleep(60)")
    command = [sys.executable, "-m", "pytest", "suites", own, "-p", "no:cacheprovider", "--no-allure-html"]
    command += [*snapshot(tmp_path, GOOD), "--bundle", str(tmp_path / "bundle")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    flag = Path(own, "test_mine.py.started")
    deadline = time.monotonic() + DEADLINE
    while not flag.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=DEADLINE)

    assert process.returncode == 2, said
    assert "Traceback" not in said
    assert '"INCOMPLETE"' in (tmp_path / "bundle" / "verdict.json").read_text()
    assert (tmp_path / "bundle" / "records.jsonl").read_text().count("\n") > 10
