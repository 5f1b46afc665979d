"""Servers that are slow, broken, expired, or no API server: each gives one error of its own kind, in time, with a way out."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fixtures.api import (
    Api,
    ApiError,
    Budget,
    Conflict,
    Expired,
    Forbidden,
    NotFound,
    Refused,
    Rubbish,
    ServerFault,
    Throttled,
    TimedOut,
    TlsError,
    Unauthorized,
    Unreachable,
)
from tests.inventory.loopback import (
    NOW,
    Answer,
    Authority,
    Request,
    a_status,
    closed_port,
    kubeconfig,
    serving,
    silent,
)


def connect(folder: Path, server: str, **options: Any) -> Api:
    return Api.connect(kubeconfig(folder, server, ca=options.pop("ca", None)), **options)


@pytest.mark.parametrize(
    ("code", "kind"),
    {
        401: Unauthorized,
        403: Forbidden,
        404: NotFound,
        409: Conflict,
        410: Expired,
        429: Throttled,
        400: Refused,
        302: Refused,
        500: ServerFault,
        503: ServerFault,
    }.items(),
)
def test_a_status_becomes_an_error_of_its_own(tmp_path: Path, code: int, kind: type[ApiError]) -> None:
    with serving(lambda _: a_status(code, "Because", "the words of the server")) as server:
        with pytest.raises(kind) as error:
            connect(tmp_path, server.url).get("/api/v1/pods")
        assert len(server.asked) == 1, "a retry that nobody asked for"
    assert type(error.value) is kind
    assert (error.value.status, error.value.reason, error.value.message) == (code, "Because", "the words of the server")
    assert error.value.path == "/api/v1/pods"


def test_an_html_error_page_is_one_line(tmp_path: Path) -> None:
    page = Answer("<html>\n<body>Bad gateway\n</body></html>" + "x" * 5000, 502)
    words = "HTTP 502 Bad Gateway: <html> <body>Bad gateway"
    with serving(lambda _: page) as server, pytest.raises(ServerFault, match=words) as error:
        connect(tmp_path, server.url).get("/version")
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("body", ["<html>login</html>", "", '{"kind": "PodList", "items": [', "\x00\x01"])
def test_a_success_that_is_not_json_is_rubbish(tmp_path: Path, body: str) -> None:
    with serving(lambda _: Answer(body)) as server, pytest.raises(Rubbish, match="not JSON"):
        connect(tmp_path, server.url).get("/version")


def test_a_body_that_is_cut_off_is_rubbish(tmp_path: Path) -> None:
    with serving(lambda _: Answer('{"items": []}', cut=100)) as server, pytest.raises(Rubbish, match="in the middle"):
        connect(tmp_path, server.url).get("/version")


@pytest.mark.parametrize("page", [{"items": "none"}, {"kind": "Status"}, [], {"metadata": {}, "items": {}}])
def test_a_list_that_is_no_list_is_rubbish(tmp_path: Path, page: Any) -> None:
    with serving(lambda _: Answer(page)) as server, pytest.raises(Rubbish, match="LIST"):
        list(connect(tmp_path, server.url).pages("/api/v1/pods"))


def test_a_server_that_says_nothing_is_given_up_in_time(tmp_path: Path) -> None:
    with silent() as url:
        began = time.monotonic()
        with pytest.raises(TimedOut, match=r"no answer within 0\.\d+ s"):
            connect(tmp_path, url, timeout=0.3).get("/version")
        assert time.monotonic() - began < 5


def test_a_server_that_drips_is_given_up_in_time(tmp_path: Path) -> None:
    def drip() -> Iterator[bytes]:
        for _ in range(200):
            yield b" "
            time.sleep(0.05)

    with serving(lambda _: Answer(pieces=drip())) as server:
        began = time.monotonic()
        with pytest.raises(TimedOut, match="still sending"):
            connect(tmp_path, server.url, timeout=0.4).get("/version")
        assert time.monotonic() - began < 5


def test_a_closed_port_and_an_unknown_name_are_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="Connection refused"):
        connect(tmp_path, closed_port()).get("/version")
    with pytest.raises(Unreachable, match=r"name of https://no-such-host\.invalid does not resolve"):
        connect(tmp_path, "https://no-such-host.invalid").get("/version")


def test_an_expired_certificate_says_since_when(tmp_path: Path) -> None:
    authority = Authority()
    ends = NOW - timedelta(days=3)
    certificate, words = authority.issue(tmp_path, ends=ends), f"expired on {ends:%Y-%m-%d %H:%M} UTC; renew"
    with serving(lambda _: Answer({}), certificate) as server, pytest.raises(TlsError, match=words) as error:
        connect(tmp_path, server.url, ca=authority.pem).get("/version")
    assert error.value.reason == "CertificateExpired"


def test_a_certificate_of_tomorrow_blames_the_clock(tmp_path: Path) -> None:
    authority = Authority()
    certificate = authority.issue(tmp_path, starts=NOW + timedelta(days=1), ends=NOW + timedelta(days=9))
    with (
        serving(lambda _: Answer({}), certificate) as server,
        pytest.raises(TlsError, match=r"not valid before .*clock"),
    ):
        connect(tmp_path, server.url, ca=authority.pem).get("/version")


def test_an_unknown_authority_and_a_wrong_name_are_told_apart(tmp_path: Path) -> None:
    authority = Authority()
    cases = [
        ("127.0.0.1", Authority("another"), "UnknownAuthority", "certificate-authority-data"),
        ("elsewhere.example", authority, "NameMismatch", "for another name"),
    ]
    for name, trusted, reason, words in cases:
        certificate = authority.issue(tmp_path, name)
        with serving(lambda _: Answer({}), certificate) as server, pytest.raises(TlsError, match=words) as error:
            connect(tmp_path, server.url, ca=trusted.pem).get("/version")
        assert error.value.reason == reason


def test_a_server_without_tls_is_told(tmp_path: Path) -> None:
    with serving(lambda _: Answer({})) as server, pytest.raises(TlsError, match="does not speak TLS"):
        connect(tmp_path, server.url.replace("http:", "https:"), ca=Authority().pem).get("/version")


def test_a_compressed_answer_is_read(tmp_path: Path) -> None:
    body = gzip.compress(json.dumps({"items": list(range(100_000))}).encode())
    with serving(lambda _: Answer(body, headers={"Content-Encoding": "gzip"})) as server:
        api = connect(tmp_path, server.url)
        assert len(api.get("/x")["items"]) == 100_000
    assert api.received == len(body)


def test_a_throttled_read_waits_as_long_as_it_was_told_if_it_has_a_budget(tmp_path: Path) -> None:
    answers = iter([a_status(429, "TooManyRequests", Retry_After="1"), Answer({"fine": True})])
    with serving(lambda _: next(answers)) as server:
        api = connect(tmp_path, server.url, budget=Budget(100, 100))
        began = time.monotonic()
        assert api.get("/api/v1/pods") == {"fine": True}
        assert time.monotonic() - began >= 1
    assert (api.requests, api.throttled) == (2, 1)


@pytest.mark.parametrize(
    ("options", "call"),
    [
        ({}, lambda api: api.get("/x")),
        ({"budget": Budget(100, 100)}, lambda api: api.create("/x/eviction", {})),
        ({"budget": Budget(100, 100), "timeout": 0.5}, lambda api: api.get("/x")),
    ],
    ids=["without a budget", "an eviction", "longer than the deadline"],
)
def test_a_throttled_request_is_otherwise_not_sent_again(
    tmp_path: Path, options: dict[str, Any], call: Callable[[Api], Any]
) -> None:
    with serving(lambda _: a_status(429, "TooManyRequests", Retry_After="1")) as server:
        with pytest.raises(Throttled) as error:
            call(connect(tmp_path, server.url, **options))
        assert len(server.asked) == 1
    assert error.value.retry_after == 1


def a_list(names: list[str], token: str = "") -> Answer:
    items = [{"metadata": {"name": name}} for name in names]
    return Answer({"metadata": {"continue": token, "resourceVersion": "7"}, "items": items})


def test_a_list_whose_token_expired_starts_again_once_and_says_so(tmp_path: Path) -> None:
    answers = iter([a_list(["a"], "t1"), a_status(410, "Expired"), a_list(["a"], "t2"), a_list(["b"])])
    with serving(lambda _: next(answers)) as server:
        pages = list(connect(tmp_path, server.url).pages("/x"))
        assert [request.query.get("continue") for request in server.asked] == [None, "t1", None, "t2"]
    assert [bool(page["metadata"].get("restarted")) for page in pages] == [False, True, False]


def test_a_list_whose_token_expires_again_gives_up(tmp_path: Path) -> None:
    def answer(request: Request) -> Answer:
        if len(server.asked) > 8:
            return a_status(500, "InternalError", "a client that never gives up")
        return a_status(410, "Expired") if "continue" in request.query else a_list(["a"], "t")

    with serving(answer) as server:
        with pytest.raises(Expired):
            list(connect(tmp_path, server.url).pages("/x"))
        assert len(server.asked) == 4


def event(kind: str, /, **content: Any) -> bytes:
    return json.dumps({"type": kind, "object": content}).encode() + b"\n"


def test_a_watch_joins_events_that_arrive_in_pieces(tmp_path: Path) -> None:
    whole = event("ADDED", metadata={"name": "ä" * 50}) + event("BOOKMARK", metadata={})
    pieces = [whole[place : place + 7] for place in range(0, len(whole), 7)]
    with serving(lambda _: Answer(pieces=iter(pieces))) as server:
        events = list(connect(tmp_path, server.url).watch("/x", "1", 5))
        assert server.asked[0].query == {
            "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": "1", "timeoutSeconds": "5"
        }  # fmt: skip
    assert [one["type"] for one in events] == ["ADDED", "BOOKMARK"]


def test_a_watch_whose_version_is_gone_raises_expired(tmp_path: Path) -> None:
    gone = event("ERROR", kind="Status", code=410, reason="Expired", message="too old resource version: 1 (9)")
    with serving(lambda _: Answer(pieces=iter([gone]))) as server, pytest.raises(Expired, match="too old"):
        list(connect(tmp_path, server.url).watch("/x", "1", 5))


@pytest.mark.parametrize("line", [b'{"type": "ADDED", "obj', b"[]\n", b"<html>\n", b"{}\n"])
def test_a_watch_that_breaks_off_or_talks_rubbish_raises(tmp_path: Path, line: bytes) -> None:
    with serving(lambda _: Answer(pieces=iter([line]))) as server, pytest.raises(Rubbish):
        list(connect(tmp_path, server.url).watch("/x", "1", 5))


def test_a_watch_on_a_server_that_never_ends_it_ends_all_the_same(tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(400):
            yield event("BOOKMARK", metadata={})
            time.sleep(0.05)

    with serving(lambda _: Answer(pieces=endless())) as server:
        began = time.monotonic()
        assert list(connect(tmp_path, server.url).watch("/x", "1", 0.5))
        assert time.monotonic() - began < 8


def test_the_credentials_of_a_plugin_are_used(tmp_path: Path) -> None:
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "from-the-plugin"},
    }
    plugin = {
        "apiVersion": answer["apiVersion"],
        "command": "echo",
        "args": [json.dumps(answer)],
        "interactiveMode": "Never",
    }
    with serving(lambda _: Answer({})) as server:
        Api.connect(kubeconfig(tmp_path, server.url, user={"exec": plugin})).get("/version")
        assert server.asked[0].headers["authorization"] == "Bearer from-the-plugin"


@pytest.mark.parametrize(("command", "words"), [("false", "returned 1"), ("no-such-plugin-here", "No such file")])
def test_a_plugin_that_fails_is_named_before_anything_is_sent(tmp_path: Path, command: str, words: str) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": command, "interactiveMode": "Never"}
    with serving(lambda _: Answer({})) as server:
        with pytest.raises(Unauthorized, match=f"credential plugin failed.*{words}"):
            Api.connect(kubeconfig(tmp_path, server.url, user={"exec": plugin}))
        assert server.asked == []
