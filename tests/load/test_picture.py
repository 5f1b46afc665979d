"""The latency picture: valid, self-contained, and showing the failures and the bound."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from load.judgement import statistics
from load.picture import Panel, draw
from load.samples import Sample

SVG = "{http://www.w3.org/2000/svg}"


def samples(codes: str = "200", count: int = 100) -> list[Sample]:
    return [
        Sample(at / 10, at / 10, at / 10 + 0.01, "GET", "pods", "resource", "quorum", codes, 1) for at in range(count)
    ]


def picture(taken: list[Sample], note: str = "") -> ElementTree.Element:
    [row] = statistics(taken)
    return ElementTree.fromstring(draw("Latency <here>", "now & then", 10, [Panel(row, taken, 0.1, note)]))


def drawn(root: ElementTree.Element, name: str) -> str:
    return "".join(path.get("d", "") for path in root.iter(f"{SVG}path") if path.get("class") == name)


def test_it_asks_nobody_for_anything_and_follows_the_reader_s_setting() -> None:
    [row] = statistics(samples())
    text = draw("a", "b", 10, [Panel(row, samples(), 0.1)])

    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<script|@import|url\(|<image|href", text)
    assert "prefers-color-scheme:dark" in text


def test_words_are_shown_as_they_are() -> None:
    words = " ".join(text.text or "" for text in picture(samples(), "a < b").iter(f"{SVG}text"))

    assert "Latency <here>" in words
    assert "now & then" in words
    assert "a < b" in words
    assert "p95 within 100 ms" in words


def test_every_second_of_the_run_has_its_place_between_the_edges() -> None:
    places = [float(x) for x in re.findall(r"M([\d.]+) [\d.]+h0", drawn(picture(samples()), "dots"))]

    assert len(places) == 100
    assert min(places) == 52.0
    assert max(places) < 512.0


def test_a_slower_request_is_drawn_higher() -> None:
    slow = [Sample(5.0, 5.0, 6.0, "GET", "pods", "resource", "quorum", "200", 1)]
    heights = {
        x: float(y) for x, y in re.findall(r"M([\d.]+) ([\d.]+)h0", drawn(picture(samples(count=40) + slow), "dots"))
    }

    assert heights["282.0"] < min(height for x, height in heights.items() if x != "282.0")


def test_failures_are_marked_and_never_drawn_as_latencies() -> None:
    refused = picture(samples("refused"))

    assert drawn(refused, "failed").count("l6 6") == 100
    assert drawn(refused, "dots") == drawn(refused, "tail") == ""
    assert "none answered, 100 refused" in " ".join(text.text or "" for text in refused.iter(f"{SVG}text"))
    assert drawn(picture(samples("dropped")), "failed").count("v-6") == 100
