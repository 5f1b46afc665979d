"""A user's mistake gets one clear message and the right exit code, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.suite_runs import GOOD, run_suite, snapshot

USAGE = 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--property", "pod-security.privilged"], "matches no property"),
        (
            ["--property", "pod-security.no-privileged-container"],
            "did you mean 'pod-security.no-privileged-containers'?",
        ),
        (["--profile", "prodution"], "did you mean 'production'?"),
        (["--policy", "missing.yaml"], "missing.yaml: No such file"),
        (["--kubeconfig", "x"], "--kubeconfig is for --cluster live"),
        (["--context", "x"], "--context is for --cluster live"),
        (["--consent", "load"], "--consent"),
        (["--bundle", "/proc/nowhere/bundle"], "cannot"),
        (["--signing-key", "missing.pem"], "missing.pem"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_option(options: list[str], said: str, tmp_path: Path) -> None:
    done = run_suite(tmp_path, *snapshot(tmp_path, GOOD), *options)

    assert done.code == USAGE, done.said
    assert said in done.said
    assert "Traceback" not in done.said
    assert "INTERNALERROR" not in done.said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("requre: [a.b]", "unknown key; did you mean 'require'?"),
        ("require: [pod-security.no-privileged]", "matches no property; did you mean"),
        (
            "waivers: [{property: pod-security.x, subjects: ['*'], reason: r, owner: o, approver: a, expires: 2099-01-01}]",
            "unknown",
        ),
        ("waivers: [{property: a.b, subjects: ['*'], reason: r, owner: o, approver: a, expires: tomorrow}]", "expires"),
        (
            "attestations: [{property: a.b, statement: s, owner: o, role: r, date: 2026-01-01, expires: 2027-01-01}]",
            "a.b",
        ),
    ],
)
def test_a_wrong_policy_file(text: str, said: str, tmp_path: Path) -> None:
    done = run_suite(tmp_path, *snapshot(tmp_path, GOOD, policy=text))

    assert done.code == USAGE, done.said
    assert said in done.said
    assert "Traceback" not in done.said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cluster", "snapshot"], "needs --manifests"),
        (["--cluster", "snapshot", "--manifests", "/nowhere"], "/nowhere"),
        (["--cluster", "live", "--kubeconfig", "/nowhere"], "/nowhere"),
        (["--cluster", "kind", "--platform", "broken"], "--platform broken is for --cluster embedded"),
        (["--members", "2"], "odd number"),
        (["--cluster", "embeded"], "invalid choice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_target_that_cannot_be_used(options: list[str], said: str, tmp_path: Path) -> None:
    done = run_suite(tmp_path, *options)

    assert done.code == USAGE, done.said
    assert said in done.said
    assert "Traceback" not in done.said
    assert not done.bundle.exists()


def test_a_bundle_is_never_overwritten(tmp_path: Path) -> None:
    options = [*snapshot(tmp_path, GOOD), "--property", "pod-security.no-privileged-containers"]
    first = run_suite(tmp_path, *options)
    kept = (first.bundle / "records.jsonl").read_bytes()

    second = run_suite(tmp_path, *options)

    assert second.code == USAGE
    assert "evidence is never overwritten" in second.said
    assert (first.bundle / "records.jsonl").read_bytes() == kept
