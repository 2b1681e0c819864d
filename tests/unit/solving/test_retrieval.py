"""Search in a folder: scores against the formula written out, what is read and how, and what is left out."""

import json
import math
import random
import re
from pathlib import Path

import pytest

from menon.core.errors import ConfigError, DataError
from menon.solving.documents import Paragraph
from menon.solving.retrieval import Documents, words

ANIMALS = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu"]


def made(*texts: str) -> Documents:
    return Documents.of(Paragraph(document=f"{at}.txt", place="line 1", text=text) for at, text in enumerate(texts))


def brute_force(texts: list[str], query: str, k1: float = 1.2, b: float = 0.75) -> list[float]:
    """Score every paragraph by the formula, one term after the other, on lists of words."""
    bags = [text.lower().split() for text in texts]
    mean = sum(map(len, bags)) / len(bags)
    scores = []
    for bag in bags:
        score = 0.0
        for term in query.lower().split():
            having = sum(term in other for other in bags)
            idf = math.log(1 + (len(bags) - having + 0.5) / (having + 0.5))
            score += idf * bag.count(term) * (k1 + 1) / (bag.count(term) + k1 * (1 - b + b * len(bag) / mean))
        scores.append(score)
    return scores


@pytest.mark.parametrize("seed", range(5))
def test_scores_follow_the_formula(seed: int):
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(ANIMALS, k=rng.randint(1, 12))) for _ in range(30)]
    query = " ".join(rng.choices([*ANIMALS[:3], "yak"], k=4))
    reference = brute_force(texts, query)
    hits = made(*texts).search(query, 30)
    assert {hit.document: hit.score for hit in hits} == pytest.approx(
        {f"{at}.txt": score for at, score in enumerate(reference) if score > 0}
    )
    order = sorted(
        (at for at, score in enumerate(reference) if score > 0), key=lambda at: (-round(reference[at], 9), at)
    )
    assert [round(hit.score, 9) for hit in hits] == [round(reference[at], 9) for at in order]


def test_ranking_makes_sense():
    documents = made(
        "the cat sat on the mat with the other cat",
        "the dog sat on the mat",
        "the cat",
        "the the the the the the",
    )
    assert [hit.document for hit in documents.search("cat")] == ["2.txt", "0.txt"]
    assert documents.search("the dog")[0].document == "1.txt"
    assert len(documents.search("the", 2)) == 2
    assert documents.search("zebra") == []
    assert documents.search("") == []


def test_equal_paragraphs_come_in_order_of_reading():
    assert [hit.document for hit in made("b", "a", "a", "a").search("a", 2)] == ["1.txt", "2.txt"]


def test_words_of_any_script():
    assert words("Straße, ÉTÉ 12.5 naïve") == ["strasse", "été", "12", "5", "naïve"]
    assert words("Ｆｕｌｌ") == ["full"]
    assert words("e\u0301te\u0301") == words("été")
    assert made("Der Fluß heißt Rhein").search("fluss")[0].score > 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "library"
    (root / "sub").mkdir(parents=True)
    (root / "b.md").write_text("# Rivers\n\nThe Rhine is long.\r\n\r\nThe Elbe\nis shorter.\n", encoding="utf-8")
    (root / "sub" / "a.txt").write_bytes("Die Höhe der Zugspitze".encode("latin-1"))
    (root / "rows.jsonl").write_text('{"name": "Inn", "km": 517}\n\n{"name": "Isar", "km": 292}\n', encoding="utf-8")
    (root / "list.json").write_text(json.dumps([{"town": "Ulm"}, {"town": "Bonn", "on": ["Rhine"]}]), encoding="utf-8")
    (root / "table.csv").write_text('lake,area\nBodensee,"536, about"\nMüritz,112\n', encoding="utf-8")
    (root / "page.html").write_text(
        "<!-- no > --><title>Hills</title><SCRIPT>a = '<p>';</script ><p class='x'>The <b>Brocken</b> &amp; friends"
        "</p><style>p {}</style><p>2 < 3",
        encoding="utf-8",
    )
    return root


def test_every_format_is_cut_and_placed(folder: Path):
    documents = Documents.from_folder(folder)
    assert [(part.document, part.place, part.text) for part in documents.paragraphs] == [
        ("b.md", "line 1", "# Rivers"),
        ("b.md", "line 3", "The Rhine is long."),
        ("b.md", "line 5", "The Elbe\nis shorter."),
        ("list.json", "item 1", "town: Ulm"),
        ("list.json", "item 2", "town: Bonn\non: Rhine"),
        ("page.html", "paragraph 1", "Hills"),
        ("page.html", "paragraph 2", "The Brocken & friends"),
        ("page.html", "paragraph 3", "2 < 3"),
        ("rows.jsonl", "line 1", "name: Inn\nkm: 517"),
        ("rows.jsonl", "line 3", "name: Isar\nkm: 292"),
        ("sub/a.txt", "line 1", "Die Höhe der Zugspitze"),
        ("table.csv", "line 2", "lake: Bodensee; area: 536, about"),
        ("table.csv", "line 3", "lake: Müritz; area: 112"),
    ]
    assert documents.notes == ("sub/a.txt: not UTF-8, read as Latin-1",)
    assert [hit.place for hit in documents.search("rhine")] == ["line 3", "item 2"]


def test_what_is_left_out_is_told(folder: Path, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret words", encoding="utf-8")
    (folder / "link.txt").symlink_to(outside / "secret.txt")
    (folder / "linked").symlink_to(outside)
    (folder / "inside.txt").symlink_to(folder / "b.md")  # read already under its own name
    (folder / "broken.txt").symlink_to(folder / "nothing")
    (folder / ".hidden.txt").write_text("secret words", encoding="utf-8")
    (folder / ".git").mkdir()
    (folder / ".git" / "log.txt").write_text("secret words", encoding="utf-8")
    (folder / "tohidden.txt").symlink_to(folder / ".hidden.txt")
    (folder / "data.txt").write_bytes(b"secret\0words")
    (folder / "picture.png").write_bytes(b"secret words")
    (folder / "bad.json").write_text("{secretive", encoding="utf-8")
    (folder / "wide.txt").write_text("Donau", encoding="utf-16")
    documents = Documents.from_folder(folder)
    assert documents.search("secret words") == []
    assert documents.search("secretive")[0].document == "bad.json"
    assert documents.search("donau")[0].document == "wide.txt"
    assert len([part for part in documents.paragraphs if "Rhine is long" in part.text]) == 1
    told = "\n".join(documents.notes)
    for name in (
        "link.txt: a link",
        "linked: a linked",
        "broken.txt",
        "tohidden.txt",
        "data.txt: a binary",
        "bad.json: not",
    ):
        assert name in told, name


def test_links_within_the_folder_are_followed(tmp_path: Path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "blob").write_text("the Rhine", encoding="utf-8")  # no suffix: not read by itself
    (tmp_path / "river.txt").symlink_to(tmp_path / "store" / "blob")
    assert [hit.document for hit in Documents.from_folder(tmp_path).search("rhine")] == ["river.txt"]


def test_long_paragraphs_are_cut_at_line_ends(tmp_path: Path):
    lines = [f"line number {number} of a long paragraph" for number in range(300)]
    (tmp_path / "long.txt").write_text("\n".join(lines), encoding="utf-8")
    parts = Documents.from_folder(tmp_path).paragraphs
    assert max(len(part.text) for part in parts) <= 2000
    assert "\n".join(part.text for part in parts).split("\n") == lines
    assert [part.place for part in parts[:2]] == ["line 1", "line 1, part 2"]


def test_hostile_files(tmp_path: Path):
    (tmp_path / "deep.json").write_text("[" * 100_000, encoding="utf-8")
    (tmp_path / "nested.json").write_text("[" * 500 + '"core"' + "]" * 500, encoding="utf-8")
    (tmp_path / "open.csv").write_text('a,b\n"never closed,\n', encoding="utf-8")
    for name, text in {"tags": "<p", "open": "<", "comments": "<!--", "scripts": "<script>", "breaks": "</div"}.items():
        (tmp_path / f"{name}.html").write_text(text * 200_000, encoding="utf-8")
    (tmp_path / "one.txt").write_text("x" * 50_000, encoding="utf-8")
    documents = Documents.from_folder(tmp_path)
    assert "deep.json: not JSON" in "\n".join(documents.notes)
    assert "open.csv: not CSV" in "\n".join(documents.notes)
    assert all(len(part.text) <= 2000 for part in documents.paragraphs)


def test_what_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no folder at"):
        Documents.from_folder(tmp_path / "missing")
    with pytest.raises(DataError, match="nothing to read"):
        Documents.from_folder(tmp_path)
    (tmp_path / "a.txt").write_text("word " * 1000, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape("allowed: 0.001 MB (limit_mb)")):
        Documents.from_folder(tmp_path, limit_mb=0.001)
    with pytest.raises(ConfigError, match="k is 0"):
        Documents.from_folder(tmp_path).search("word", 0)
    with pytest.raises(ConfigError, match="b 2"):
        Documents.of([], b=2)
