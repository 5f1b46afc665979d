from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reports import keys
from reports.__main__ import main
from reports.bundle import Bundle
from reports.seal import manifest_bytes
from reports.verify import examine
from tests.reports import sample

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed bundle that nobody changes."""
    folder = tmp_path_factory.mktemp("sealed")
    sample.make(folder / "bundle", sample.good_records(), docs=sample.pages(folder / "site"))
    return folder / "bundle"


@pytest.fixture
def bundle(sealed: Path, tmp_path: Path) -> Path:
    """A copy of it, to be tampered with."""
    return Path(shutil.copytree(sealed, tmp_path / "bundle"))


@pytest.fixture
def public(tmp_path: Path) -> Path:
    return sample.public_key_file(tmp_path)


def problems(bundle: Path, public: Path) -> str:
    return "\n".join(examine(bundle, keys.public_key(public)).problems)


def test_an_untouched_bundle_is_intact(bundle: Path, public: Path) -> None:
    assert problems(bundle, public) == ""


def every_file(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_one_changed_byte_is_found_and_named_in_every_file(bundle: Path, public: Path) -> None:
    for path in every_file(bundle):
        content = path.read_bytes()
        place = len(content) // 2
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert path.relative_to(bundle).as_posix() in problems(bundle, public)
        path.write_bytes(content)


def test_a_dropped_file_is_found_and_named(bundle: Path, public: Path) -> None:
    for path in every_file(bundle):
        content = path.read_bytes()
        path.unlink()
        assert f"{path.relative_to(bundle).as_posix()} is missing" in problems(bundle, public)
        path.write_bytes(content)


def drop_last_record(bundle: Path) -> None:
    lines = (bundle / "records.jsonl").read_bytes().splitlines(keepends=True)
    (bundle / "records.jsonl").write_bytes(b"".join(lines[:-1]))


def cut_the_tail(bundle: Path) -> None:
    content = (bundle / "records.jsonl").read_bytes()
    (bundle / "records.jsonl").write_bytes(content[:-40])


def reorder_records(bundle: Path) -> None:
    lines = (bundle / "records.jsonl").read_bytes().splitlines(keepends=True)
    (bundle / "records.jsonl").write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))


def add_file(bundle: Path) -> None:
    (bundle / "journals" / "another.json").write_text("{}")


def replace_by_link(bundle: Path) -> None:
    (bundle / "report.md").rename(bundle.parent / "report.md")
    (bundle / "report.md").symlink_to(bundle.parent / "report.md")


def reorder_manifest(bundle: Path) -> None:
    entries = json.loads((bundle / "manifest.json").read_text())["files"]
    (bundle / "manifest.json").write_bytes(manifest_bytes(entries[::-1]))


def swap_verdict(bundle: Path) -> None:
    text = (bundle / "verdict.json").read_text()
    (bundle / "verdict.json").write_text(text.replace('"READY"', '"NOT READY"'))


def swap_cluster(bundle: Path) -> None:
    other = bundle.parent / "other"
    records = [replace(record, cluster="prod-eu") for record in sample.good_records()]
    run = sample.run_info(clusters=(replace(sample.run_info().clusters[0], id="prod-eu"),))
    sample.make(other, records, run=run)
    shutil.copy(other / "records.jsonl", bundle / "records.jsonl")


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (drop_last_record, "records.jsonl was changed after sealing: "),
        (cut_the_tail, "40 bytes are missing (truncated"),
        (reorder_records, "lines put in another order"),
        (add_file, "journals/another.json was added after sealing"),
        (replace_by_link, "report.md was replaced by something that is not a plain file"),
        (reorder_manifest, "manifest.json: its files stand in another order"),
        (swap_verdict, "verdict.json does not follow from the records: it says NOT READY, they give READY"),
        (swap_cluster, "records.jsonl speaks of the cluster prod-eu, run.json of embedded-7f3a"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_tampering_is_found_and_named(bundle: Path, public: Path, tamper: Callable[[Path], None], words: str) -> None:
    tamper(bundle)

    assert words in problems(bundle, public)


def test_a_bundle_sealed_again_by_another_key_is_found(bundle: Path, public: Path, tmp_path: Path) -> None:
    for name in ("manifest.json", "manifest.dsse.json"):
        (bundle / name).unlink()
    forged = Bundle.create(tmp_path / "forged", sample.run_info())
    forged.append(sample.good_records())
    forged.finish(sample.run_info(), sample.catalogue(), allure_html=False)
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(tmp_path / "other.pem")], check=True, timeout=60
    )
    forged.seal(keys.signer(tmp_path / "other.pem"))

    assert "the signature does not fit" in problems(tmp_path / "forged", public)


def test_a_whole_seal_from_another_bundle_does_not_fit(bundle: Path, public: Path, tmp_path: Path) -> None:
    sample.make(tmp_path / "other", sample.bad_records())
    for name in ("manifest.json", "manifest.dsse.json"):
        shutil.copy(tmp_path / "other" / name, bundle / name)

    assert "records.jsonl was changed after sealing" in problems(bundle, public)


def test_without_the_signers_key_a_bundle_does_not_verify(bundle: Path) -> None:
    assert "hand over the signer's public key" in "\n".join(examine(bundle, None).problems)


def test_an_unsealed_bundle_does_not_verify(tmp_path: Path, public: Path) -> None:
    sample.make(tmp_path / "open", sample.good_records(), seal=False)

    assert "is not sealed (was the run interrupted?)" in problems(tmp_path / "open", public)


def test_verify_says_what_it_found_and_what_it_does_not_prove(
    bundle: Path, public: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["verify", str(bundle), "--key", str(public)])

    output = capsys.readouterr().out
    assert code == 0
    assert "intact" in output
    assert "READY" in output
    assert "This does not prove:" in output


def test_verify_at_a_date_fails_once_the_evidence_expired(
    bundle: Path, public: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(bundle), "--key", str(public), "--at", "2026-11-27"]) == 0
    assert main(["verify", str(bundle), "--key", str(public), "--at", "2026-11-28"]) == 1
    assert "the verdict no longer stands" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "nowhere"], "nowhere is no folder"),
        (["verify", "."], "is no bundle: it has no run.json"),
        (["verify", ".", "--key", "nowhere.pem"], "nowhere.pem"),
        (["render", "nowhere", "--unverified"], "nowhere is no folder"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1


def test_a_wrong_date_is_refused(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["verify", str(bundle), "--at", "tomorrow"])

    assert caught.value.code == 2
    assert "2026-12-31" in capsys.readouterr().err


def by_hand(bundle: Path, public: Path, work: Path) -> subprocess.CompletedProcess[str]:
    text = (ROOT / "docs" / "reference" / "verify-by-hand.md").read_text()
    script = "set -euo pipefail\n" + "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    work.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "BUNDLE": str(bundle), "PUBKEY": str(public), "WORK": str(work)}
    return subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


CLAIMS = (
    "Signature Verified Successfully",
    "manifest.json: signed",
    "files: unchanged",
    "files: none added, none dropped",
)


def test_the_commands_of_the_page_verify_a_bundle(bundle: Path, public: Path, tmp_path: Path) -> None:
    done = by_hand(bundle, public, tmp_path / "work")

    assert done.returncode == 0, done.stderr
    for words in (*CLAIMS, '"verdict":"READY"', "fail high-availability.failover-15s"):
        assert words in done.stdout


@pytest.mark.parametrize("tamper", [drop_last_record, reorder_records, add_file, reorder_manifest])
def test_the_commands_of_the_page_find_tampering(
    bundle: Path, public: Path, tmp_path: Path, tamper: Callable[[Path], None]
) -> None:
    tamper(bundle)

    done = by_hand(bundle, public, tmp_path / "work")

    assert done.returncode != 0 or not all(words in done.stdout for words in CLAIMS)
