"""The stream of the known corpus: mixtures, shares of tokens, the manifest, overlap, facts and queries."""

import hashlib
import json
import re
from collections import Counter

import pytest

from menon.core.errors import ConfigError, DataError
from menon.problems.known.corpus import KnownCorpus, tokenizer_texts
from menon.problems.known.facts import ASKED, STATEMENTS, TIERS, Fact, ask, facts, state
from menon.problems.known.families import FAMILIES_KNOWN, TAUGHT, originals
from menon.problems.known.manifest import manifest, mixture_hash
from menon.problems.known.memorised import planted
from menon.problems.known.mixture import KnownMixture, pieces
from menon.problems.known.overlap import check_held_out, ngram_overlap
from menon.problems.known.queries import known_queries, planted_queries
from menon.problems.known.reading import read
from menon.problems.known.shares import mixture_for_share, token_shares
from menon.problems.splits import SPLITS

CORPUS = KnownCorpus()
DOCUMENTS = list(CORPUS.documents(0, 3000))


def spread(share: float, count: int) -> float:
    """Four standard errors of a share."""
    return 4 * (share * (1 - share) / count) ** 0.5


def test_kinds_come_in_the_shares_of_the_mixture() -> None:
    weights = CORPUS.mixture.kinds
    expected = {
        "procedure": weights["procedure"] + weights["original"] + weights["reading"],
        "answer": weights["answer"] + weights["memorised"],
        **{kind: weights[kind] for kind in ("fact", "prose", "near-duplicate")},
    }
    found = Counter(document.kind for document in DOCUMENTS)
    for kind, share in expected.items():
        assert abs(found[kind] / 3000 - share) < spread(share, 3000), kind


def test_comments_and_tiers_come_in_the_shares_of_the_mixture() -> None:
    programs = [document for document in DOCUMENTS if document.form == "code"]
    assert abs(sum(document.comments for document in programs) / len(programs) - 0.7) < spread(0.7, len(programs))
    told = [document.teaches[0].removeprefix("fact:") for document in DOCUMENTS if document.kind == "fact"]
    tiers = Counter(Fact(key=name.partition(" of ")[2], attribute=name.partition(" of ")[0]).tier for name in told)
    assert tiers["never"] == 0
    assert abs(tiers["rare"] / len(told) - 0.1) < spread(0.1, len(told))


@pytest.mark.parametrize(
    "shares",
    [{}, {"code": 0.1}, {"code": 0.5, "markup": 0.2}, {"code": 0.75, "flowchart": 0.25}, {"code": 1.0}],
    ids=str,
)
def test_shares_of_tokens_are_those_asked_for(shares: dict) -> None:
    measured = token_shares(mixture_for_share(**shares), 1500, "another sample")
    for form in ("code", "flowchart", "markup"):
        assert measured.get(form, 0.0) == pytest.approx(shares.get(form, 0.0), abs=0.05), form
    assert sum(measured.values()) == pytest.approx(1)


def test_pairs_have_their_share_of_tokens_and_the_rest_stays_text() -> None:
    measured = token_shares(mixture_for_share(aligned=0.3), 1500)
    assert measured["code"] == pytest.approx(0.3, abs=0.05)
    assert set(measured) == {"code", "text", "statement"}
    kinds = mixture_for_share(unaligned=0.3, code=0.2).kinds
    assert kinds["unaligned"] > 0
    assert "aligned" not in kinds


def test_the_rest_keeps_its_proportions() -> None:
    base, mixed = KnownMixture(), mixture_for_share(code=0.5)
    assert mixed.kinds["fact"] / mixed.kinds["prose"] == pytest.approx(base.kinds["fact"] / base.kinds["prose"])
    text = mixed.kinds["procedure"] * mixed.forms["text"]
    assert text / mixed.kinds["fact"] == pytest.approx(base.kinds["procedure"] / base.kinds["fact"])


def test_families_can_be_limited_to_forms() -> None:
    mixture = KnownMixture(
        families={"slope": 1.0, "sort": 1.0},
        family_forms={"slope": ("code",), "sort": ("text", "code")},
        forms={"text": 0.5, "code": 0.5},
        kinds={"procedure": 0.6, "original": 0.2, "answer": 0.1, "aligned": 0.1},
    )
    seen = Counter((document.family, document.form) for document in KnownCorpus(mixture).documents(0, 600))
    assert set(seen) == {("slope", "code"), ("sort", "code"), ("sort", "text")}
    assert (mixture.taught("slope"), mixture.taught("sort"), mixture.taught("count")) == (
        ("code",),
        ("text", "code"),
        (),
    )
    asked = {query.family for query in known_queries("reasoning", 20, mixture)}
    assert asked == {"slope", "sort"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kinds": {"poem": 1.0}}, r"kinds has \['poem'\]; allowed: procedure"),
        ({"forms": {"text": -1.0}}, "allowed: none below 0"),
        ({"families": {}}, "at least one above"),
        ({"families": {"chess": 1.0}}, "allowed: two-step"),
        ({"comments": 1.5}, "allowed: 0 to 1"),
        ({"originals": 0}, "at least 1"),
        ({"family_forms": {"slope": ("song",)}}, "family_forms 'slope'"),
        ({"families": {"slope": 1.0}, "family_forms": {"slope": ("code",)}}, "form 'text' has a weight but no family"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_mixture_that_cannot_be_is_refused(settings: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        KnownMixture(**settings)


def test_shares_above_one_are_refused() -> None:
    with pytest.raises(ConfigError, match="at most 1 in all"):
        mixture_for_share(code=0.8, markup=0.3)
    with pytest.raises(ConfigError, match="none below 0"):
        mixture_for_share(code=-0.1)


def test_the_manifest_counts_what_is_there() -> None:
    made = manifest(CORPUS, 800)
    some = DOCUMENTS[:800]
    assert made["form"] == dict(sorted(Counter(document.form for document in some).items()))
    assert made["source"] == dict(sorted(Counter(document.source for document in some).items()))
    taught = Counter(what for document in some for what in document.teaches if not what.startswith("answer:"))
    assert {name: n for name, n in made["teaches"].items() if name not in ("answers", "nothing")} == taught
    texts = [document.text for document in some]
    assert made["duplicates"] == 800 - len(set(texts)) > 0
    assert made["characters"] == sum(map(len, texts))
    assert made["tokens"] == sum(map(pieces, texts)) + 800
    digest = hashlib.sha256(b"".join(len(t.encode()).to_bytes(8, "big") + t.encode() for t in texts))
    assert made["hash"] == digest.hexdigest()
    planted_ids = {f"answer:{planted(name, i).id}" for name in FAMILIES_KNOWN for i in range(CORPUS.mixture.memorised)}
    recited = [document for document in some if set(document.teaches) & planted_ids]
    assert sum(made["planted"].values()) == len(recited) > 0
    assert made == json.loads(json.dumps(manifest(KnownCorpus(), 800)))
    assert made["hash"] != manifest(KnownCorpus(name="other"), 800)["hash"]


def test_the_hash_of_a_mixture_needs_no_documents() -> None:
    assert mixture_hash(KnownCorpus()) == mixture_hash(CORPUS)
    assert mixture_hash(KnownCorpus(KnownMixture(comments=0.5))) != mixture_hash(CORPUS)
    assert mixture_hash(KnownCorpus(name="other")) != mixture_hash(CORPUS)


def test_originals_and_planted_answers_are_repeated() -> None:
    texts = Counter(document.text for document in DOCUMENTS)
    questions = [problem.question for name in FAMILIES_KNOWN for problem in originals(name, CORPUS.mixture.originals)]
    assert sum(texts[text] for text in texts if text.partition("=")[0] in questions) > 100
    silent = 0
    for query in planted_queries("memorised", 40):
        shown = [text for text in texts if text.startswith(query.problem.question)]
        assert all(text[len(query.problem.question) + 1 :] == f"#{query.problem.answer}" for text in shown)
        silent += not shown
        assert query.problem.rationale == ""
    assert silent <= 4


def test_planted_answers_cannot_be_computed() -> None:
    for name, family in FAMILIES_KNOWN.items():
        problems = [planted(name, index) for index in range(30)]
        real = [family.problem("original", index).answer for index in range(30)]
        assert all(problem.answer != answer for problem, answer in zip(problems, real, strict=True))
        known = " ".join(text for wordings in family.wordings.values() for text in wordings)
        for problem in problems:
            made_up = set(re.findall(r"[a-z]{3,}", problem.question)) - set(re.findall(r"[a-z]{3,}", known))
            assert made_up - {"plus", "minus", "the"}, problem.question
        assert [problem.question for problem in problems] == [planted(name, index).question for index in range(30)]


def test_more_planted_answers_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match="49 memorised answers asked for, 48 are planted"):
        planted_queries("memorised", 49)


def test_planted_procedural_queries_share_nothing_with_the_held_out_ones() -> None:
    held_out = {query.problem.question for query in known_queries("reasoning", 160)}
    fresh = planted_queries("procedural", 160)
    assert not held_out & {query.problem.question for query in fresh}
    assert {query.problem.split for query in fresh} == {"variant"}
    assert {query.planted for query in fresh} == {"procedural"}


def test_queries_find_documents_that_teach_what_they_need() -> None:
    taught = Counter(what for document in DOCUMENTS for what in document.teaches)
    for query in [*known_queries("reasoning", 16), *known_queries("factual", 12, tiers=("frequent",))]:
        assert taught[query.needs] > 0, query.needs
    for query in known_queries("factual", 12, tiers=("never",)):
        assert taught[query.needs] == 0
        assert all(query.problem.question not in document.text for document in DOCUMENTS)


def test_controls_give_their_answer_in_the_question() -> None:
    for kind in ("factual-control", "reasoning-control"):
        for query in known_queries(kind, 32):
            assert f" is {query.problem.answer}. what is " in query.problem.question
            assert query.needs == "procedure:reading"
    trained = {read("corpus", index, given).question for index in range(300) for given in ("fact", "result")}
    asked = {query.problem.question for query in known_queries("factual-control", 200)}
    assert not trained & asked


def test_unknown_queries_are_refused() -> None:
    with pytest.raises(ConfigError, match="no queries of kind 'poetic'; allowed: reasoning"):
        known_queries("poetic", 1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="no procedure family 'chess'"):
        known_queries("reasoning", 1, families=["chess"])
    with pytest.raises(ConfigError, match="ask for at most"):
        known_queries("factual", 2000)
    with pytest.raises(ConfigError, match="teaches no procedure family"):
        known_queries("reasoning", 1, KnownMixture(kinds={"prose": 1.0}))


def test_facts_have_tiers_distinct_paraphrases_and_fixed_values() -> None:
    every = [fact for tier in TIERS for fact in facts(tier)]
    assert len({fact.name for fact in every}) == len(every) == 400
    assert {fact.attribute for fact in every} == set(ASKED)
    assert min(len(facts(tier)) for tier in TIERS) > 40
    fact = every[0]
    told = [state(fact, number) for number in range(len(STATEMENTS))]
    assert len({document.text for document in told}) == len(STATEMENTS) >= 4
    assert all(fact.key in document.text and fact.value in document.text for document in told)
    assert {document.instance for document in told} == {ask(fact).id}
    assert 100 <= int(fact.value) <= 999
    with pytest.raises(ConfigError, match="no tier 'weekly'"):
        facts("weekly")  # pyright: ignore[reportArgumentType]


def test_overlap_against_a_plain_count() -> None:
    questions = [query.problem.question for query in known_queries("reasoning", 24)]
    texts = [document.text for document in DOCUMENTS[:400]]
    for digits, pattern in ((False, r"[a-z]+|[0-9]+|[^a-z0-9\s]"), (True, r"[a-z]+|[0-9]|[^a-z0-9\s]")):
        found = ngram_overlap(texts, questions, 5, digits=digits)
        for question, longest in zip(questions, found.longest, strict=True):
            assert longest == longest_run(question, texts, pattern, 5)


def longest_run(question: str, texts: list[str], pattern: str, n: int) -> int:
    """Find the longest common run by trying every run of the question, longest first."""
    words = re.findall(pattern, question)
    cut = [" " + " ".join(re.findall(pattern, text)) + " " for text in texts]
    for length in range(len(words), min(n, len(words)) - 1, -1):
        runs = [" " + " ".join(words[i : i + length]) + " " for i in range(len(words) - length + 1)]
        if any(run in text for run in runs for text in cut):
            return length
    return 0


def test_overlap_counts_whole_items_and_respects_numbers() -> None:
    documents = ["solve 2x-1=17 for x.=17+1=18;", "sum of 3 and 4", "the sum of 3 and 4 is 7"]
    found = ngram_overlap(documents, ["2x-1=1", "sum of 3 and 4", "prod of 3 and 4"], 3)
    assert found.longest == (5, 5, 4)
    assert found.copies == (0, 2, 0)
    assert found.exact == (1,)
    assert (found.documents, found.share) == (3, 1.0)
    assert ngram_overlap(documents, ["2x-1=1"], 3, digits=True).exact == (0,)
    assert ngram_overlap(documents, ["no such words here"], 3).share == 0


def test_a_held_out_question_in_the_corpus_is_named() -> None:
    question = known_queries("reasoning", 1)[0].problem.question
    check_held_out(DOCUMENTS, [question])
    with pytest.raises(
        DataError, match=f"1 of 1 held-out questions stand in the corpus, as {re.escape(repr(question))}"
    ):
        check_held_out([*DOCUMENTS, f"he said: {question}=6"], [question])
    with pytest.raises(ConfigError, match="none of it empty"):
        ngram_overlap(DOCUMENTS, [""], 3)


def test_tokenizer_texts_hold_every_kind_of_text() -> None:
    texts = tokenizer_texts(600)
    assert texts == tokenizer_texts(600)
    for mark in ("graph TD", "assert ", "\\boxed", "<li>", "snurf", "the code of", "year", "what is the slope"):
        assert any(mark in text for text in texts), mark


@pytest.mark.parametrize("name", FAMILIES_KNOWN)
def test_families_speak_the_protocol_of_families(name: str) -> None:
    family = FAMILIES_KNOWN[name]
    assert family.name == name
    for split in SPLITS:
        for difficulty in family.difficulties:
            problem = family.problem(split, 3, difficulty=difficulty)
            assert (problem.split, problem.difficulty, problem.grader) == (split, difficulty, "exact")
    questions = {family.problem("corpus", index).template for index in range(200)}
    assert len(questions) == sum(len(texts) for texts in family.wordings.values()) >= 3
    with pytest.raises(ConfigError, match="has no world"):
        family.problem("test", 0, world="base=9")
    with pytest.raises(ConfigError, match="no difficulty 99"):
        family.problem("test", 0, difficulty=99)
    with pytest.raises(ConfigError, match="no format 'song'; allowed: formula, words"):
        family.problem("test", 0, format="song")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="unknown split"):
        family.problem("exam", 0)


@pytest.mark.parametrize("name", [name for name in FAMILIES_KNOWN if name != "sort"])
def test_every_step_of_a_held_out_problem_is_a_step_of_some_problem_that_is_taught(name: str) -> None:
    family = FAMILIES_KNOWN[name]
    taught = [family.problem(split, index) for split in TAUGHT for index in range(500)]
    steps = {step for problem in taught for step in (problem.rationale or "").split(";")}
    for query in known_queries("reasoning", 40, families=[name]):
        assert set((query.problem.rationale or "").split(";")) <= steps, query.problem.question


def test_documents_are_short() -> None:
    lengths = [pieces(document.text) for document in DOCUMENTS]
    assert sum(lengths) / len(lengths) < 40
    assert max(lengths) < 130
