"""python -m reports: verify, compare and render bundles, without a cluster and without a network."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from reports import keys, render
from reports.compare import as_text, compare
from reports.dates import last_moment
from reports.errors import BundleError
from reports.gate import Decision
from reports.seal import digest
from reports.verify import DOES_NOT_PROVE, Examination, examine, standing
from reports.view import View
from reports.words import RunVerdict

OK, NOT_OK, USAGE = 0, 1, 2

EPILOG = """\
exit codes:
  0  verify: intact, and with --at the verdict still stands; compare: no new failure; render: done
  1  verify: something does not fit, or the verdict no longer stands; compare: new failures; render: not verified
  2  wrong usage: no bundle there, an unreadable key, an unreadable date

examples:
  python -m reports verify build/evidence/embedded/20261121T081500Z
  python -m reports verify bundle --key signer.pub.pem --at 2027-03-31
  python -m reports compare accepted-bundle new-bundle
  python -m reports render bundle --out /tmp/reports
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m reports",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="verify | compare | render | key")
    verify = commands.add_parser(
        "verify", help="check every byte of a bundle, its signature, and that its verdict follows"
    )
    verify.add_argument("bundle", type=Path)
    _key_option(verify)
    verify.add_argument(
        "--at", type=_date, metavar="DATE", help="also demand that the verdict stands on this date (2027-03-31, UTC)"
    )
    contrast = commands.add_parser("compare", help="new failures, fixed ones and changed numbers between two bundles")
    contrast.add_argument("base", type=Path, help="the accepted bundle to hold the new one against")
    contrast.add_argument("new", type=Path)
    contrast.add_argument("--across", action="store_true", help="compare bundles of different clusters")
    _key_option(contrast)
    _unverified_option(contrast)
    again = commands.add_parser("render", help="make all reports again from the records, beside the bundle")
    again.add_argument("bundle", type=Path)
    again.add_argument("--out", type=Path, help="folder for the reports (default: <BUNDLE>.rendered)")
    _key_option(again)
    _unverified_option(again)
    commands.add_parser("key", help="print the public key that runs on this machine are signed with")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments)
    commands = {"verify": _verify, "compare": _compare, "render": _render, "key": _key}
    try:
        return commands[options.command](options)
    except BundleError as error:
        print(f"{error}", file=sys.stderr)
        return USAGE


def _verify(options: argparse.Namespace) -> int:
    found = _examine(options.bundle, options.key)
    _print_examination(found)
    if found.decision is None:
        return NOT_OK
    stands = True
    if found.ok:
        at = options.at or datetime.now(UTC)
        stands = _print_standing(standing(options.bundle, at), found.decision, at)
    print("\nThis does not prove:")
    print("\n".join(f"  - {line}" for line in DOES_NOT_PROVE))
    return OK if found.ok and (stands or not options.at) else NOT_OK


def _compare(options: argparse.Namespace) -> int:
    for bundle in (options.base, options.new):
        if not _trusted(bundle, options):
            return NOT_OK
    comparison = compare(View.load(options.base), View.load(options.new), across=options.across)
    print(as_text(comparison, options.base, options.new))
    return NOT_OK if comparison.failures else OK


def _render(options: argparse.Namespace) -> int:
    if not _trusted(options.bundle, options):
        return NOT_OK
    view = View.load(options.bundle)
    out = options.out or options.bundle.with_name(options.bundle.name + ".rendered")
    if out.resolve().is_relative_to(options.bundle.resolve()):
        raise BundleError(f"{out} lies inside the bundle, which stays as it was sealed; name another folder (--out)")
    if out.exists() and any(out.iterdir()):
        raise BundleError(f"{out} is not empty; name a new or empty folder (--out)")
    render.write_views(view, out)
    render.write_allure_html(view, out, print)
    for path in ("junit.xml", "report.md", "report/index.html"):
        sealed = options.bundle / path
        same = sealed.is_file() and digest(sealed) == digest(out / path)
        print(f"{out / path}: {'the same bytes as in the bundle' if same else 'differs from the bundle'}")
    print(f"{out / 'allure-results'}")
    return OK


def _key(options: argparse.Namespace) -> int:
    public = keys.signer().public_key
    print(keys.as_pem(public), end="")
    print(f"keyid {public.keyid}", file=sys.stderr)
    return OK


def _examine(bundle: Path, key: Path | None) -> Examination:
    return examine(bundle, keys.public_key(key) if key else keys.own_public_key())


def _trusted(bundle: Path, options: argparse.Namespace) -> bool:
    if options.unverified:
        return True
    found = _examine(bundle, options.key)
    if not found.ok:
        _print_examination(found)
        print("\nRefused: the bundle does not verify. --unverified goes on all the same.", file=sys.stderr)
    return found.ok


def _print_examination(found: Examination) -> None:
    print(f"{found.folder}: {'intact' if found.ok else 'NOT INTACT'}")
    print("\n".join(f"  - {problem}" for problem in found.problems), end="\n" if found.problems else "")
    if found.signed_by:
        print(f"  signed by       {found.signed_by}")
    if found.manifest:
        print(f"  manifest        sha256:{found.manifest}")
    if found.decision:
        decision = found.decision
        print(f"  verdict         {found.recorded} on {found.ended or 'a run that did not end'}")
        print(f"  recomputed      {decision.verdict}: {decision.reasons[0]}")
        print(
            f"  readiness       {decision.readiness.percent} % ({decision.readiness.part} of {decision.readiness.whole})"
        )
        print(
            f"  coverage        {decision.coverage.percent} % ({decision.coverage.part} of {decision.coverage.whole})"
        )
    for note in found.notes:
        print(f"  note: {note}")


def _print_standing(now: Decision, then: Decision, at: datetime) -> bool:
    date = at.strftime("%Y-%m-%d")
    stands = now.verdict is then.verdict
    print(f"  on {date}   {now.verdict}" + ("" if stands else f": {now.reasons[0]}"))
    if not stands:
        was = "It was READY; " if then.verdict is RunVerdict.READY else ""
        print(f"  {was}by {date} the verdict no longer stands: run the suite again.")
    return stands


def _date(text: str) -> datetime:
    try:
        return last_moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _key_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--key", type=Path, metavar="PUBKEY.pem", help="the signer's public key (default: that of this machine's user)"
    )


def _unverified_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--unverified", action="store_true", help="go on with a bundle that does not verify")


if __name__ == "__main__":
    sys.exit(main())
