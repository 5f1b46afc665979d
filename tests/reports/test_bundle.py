from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from reports import keys
from reports.bundle import Bundle
from reports.errors import BundleError
from reports.view import View
from reports.words import RunVerdict
from tests.reports import sample

ROOT = Path(__file__).parents[2]


def verdict(folder: Path) -> str:
    return str(json.loads((folder / "verdict.json").read_text())["verdict"])


def test_a_bundle_says_incomplete_from_its_first_moment(tmp_path: Path) -> None:
    Bundle.create(tmp_path / "bundle", sample.run_info(ended="")).close()

    assert verdict(tmp_path / "bundle") == "INCOMPLETE"


def test_a_killed_run_leaves_an_honest_bundle(tmp_path: Path) -> None:
    code = (
        "import os, signal; from pathlib import Path; from reports.bundle import Bundle; from tests.reports import sample\n"
        f"bundle = Bundle.create(Path({str(tmp_path / 'bundle')!r}), sample.run_info(ended='', complete=False))\n"
        "bundle.describe(sample.run_info(ended='', complete=False), sample.catalogue())\n"
        "bundle.append(sample.good_records())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False)

    assert process.returncode == -signal.SIGKILL
    assert verdict(tmp_path / "bundle") == "INCOMPLETE"
    view = View.load(tmp_path / "bundle")
    assert len(view.records) == len(sample.good_records())
    assert view.decision.verdict is RunVerdict.INCOMPLETE


def test_records_are_on_disk_when_append_returns(tmp_path: Path) -> None:
    bundle = Bundle.create(tmp_path / "bundle", sample.run_info(ended=""))
    for count, record in enumerate(sample.good_records(), 1):
        bundle.append([record])
        assert (tmp_path / "bundle" / "records.jsonl").read_bytes().count(b"\n") == count
    bundle.close()


def test_a_finished_bundle_is_ready_and_complete(tmp_path: Path) -> None:
    sample.make(tmp_path / "bundle", sample.good_records(), docs=sample.pages(tmp_path / "site"))

    assert verdict(tmp_path / "bundle") == "READY"
    views = ("junit.xml", "report.md", "report/index.html", "allure-results/categories.json")
    for name in (*views, "manifest.json", "docs/properties/rbac/no-wildcard-roles.md"):
        assert (tmp_path / "bundle" / name).is_file(), name


def test_a_finished_run_without_an_end_is_incomplete(tmp_path: Path) -> None:
    sample.make(tmp_path / "bundle", sample.good_records(), run=sample.run_info(ended=""))

    assert verdict(tmp_path / "bundle") == "INCOMPLETE"


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        sample.make(tmp_path / name / "bundle", sample.bad_records())

    manifests = [(tmp_path / name / "bundle" / "manifest.json").read_bytes() for name in ("one", "two")]
    assert manifests[0] == manifests[1]


@pytest.mark.parametrize(
    ("content", "words"),
    [("notes.txt", "is not empty (it holds notes.txt)"), ("verdict.json", "already holds a bundle")],
)
def test_a_folder_that_holds_something_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / content).touch()
    if content == "verdict.json":
        (tmp_path / "records.jsonl").touch()

    with pytest.raises(BundleError) as caught:
        Bundle.create(tmp_path, sample.run_info())

    assert words in str(caught.value)


def test_a_file_in_the_place_of_a_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(BundleError) as caught:
        Bundle.create(tmp_path / "file" / "bundle", sample.run_info())

    assert "--bundle DIR" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_disk_that_fills_up_is_told_in_one_line(tmp_path: Path) -> None:
    bundle = Bundle.create(tmp_path / "bundle", sample.run_info())
    full = os.open("/dev/full", os.O_WRONLY)
    assert bundle._records is not None
    os.dup2(full, bundle._records)
    os.close(full)

    with pytest.raises(BundleError, match=r"No space left on device.*free some space"):
        bundle.append(sample.good_records())
    bundle.close()


def test_nothing_can_be_added_to_a_finished_run(tmp_path: Path) -> None:
    bundle = Bundle.create(tmp_path / "bundle", sample.run_info())
    bundle.finish(sample.run_info(), sample.catalogue(), allure_html=False)

    with pytest.raises(BundleError, match="finished"):
        bundle.append(sample.good_records())


def test_evidence_cannot_be_placed_outside(tmp_path: Path) -> None:
    bundle = Bundle.create(tmp_path / "bundle", sample.run_info())

    with pytest.raises(ValueError, match="outside"):
        bundle.place("../elsewhere.json")
    bundle.close()


def test_a_bundle_can_be_chained_to_an_earlier_one(tmp_path: Path) -> None:
    first = sample.make(tmp_path / "first", sample.good_records())
    bundle = Bundle.create(tmp_path / "second", sample.run_info())
    bundle.finish(sample.run_info(), sample.catalogue(), allure_html=False)
    bundle.seal(keys.signer(sample.private_key(tmp_path / "keys")), previous=tmp_path / "first")

    assert first is not None
    assert json.loads((tmp_path / "second" / "manifest.json").read_text())["previous"] == first.manifest


def test_a_link_is_not_sealed(tmp_path: Path) -> None:
    bundle = Bundle.create(tmp_path / "bundle", sample.run_info())
    bundle.finish(sample.run_info(), sample.catalogue(), allure_html=False)
    (tmp_path / "bundle" / "passwd").symlink_to("/etc/passwd")

    with pytest.raises(BundleError, match="passwd"):
        bundle.seal(keys.signer(sample.private_key(tmp_path / "keys")))


def test_the_users_own_key_is_made_once_and_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBEWORTHY_SIGNING_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    first, second = keys.signer(), keys.signer()

    assert first.public_key == second.public_key
    assert stat.S_IMODE((tmp_path / "kubeworthy" / "signing.pem").stat().st_mode) == 0o600
    assert keys.public_key(tmp_path / "kubeworthy" / "signing.pub.pem") == first.public_key


@pytest.mark.parametrize("content", ["", "not a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_signing_key_that_is_none_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "key.pem").write_text(content)

    with pytest.raises(BundleError, match="openssl genpkey"):
        keys.signer(tmp_path / "key.pem")
