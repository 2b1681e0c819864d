"""The corpus of the embedded model: what is in it, and what must not be."""

from collections import Counter

from menon.problems import FAMILIES
from menon.problems.corpus import STEERED, Corpus, Mixture, originals, worked

FULL = Mixture(hard={"addition": 1.0, "chain": 1.0, "facts": 1.0})


def test_documents_depend_on_index_and_mixture_alone() -> None:
    one, other = Corpus(), Corpus()
    assert [one.document(i, FULL) for i in (5, 0, 9)] == [other.document(i, FULL) for i in (5, 0, 9)]
    assert one.document(3, FULL) == other.document(3, FULL)


def test_every_kind_occurs_in_its_share() -> None:
    corpus = Corpus()
    count = Counter(corpus.document(i, FULL).kind for i in range(4000))
    assert abs(count["hinted"] / 4000 - 0.20) < 0.03
    assert abs(count["program"] / 4000 - 0.04) < 0.015
    assert set(count) >= {"worked", "hinted", "direct", "original", "fact", "program", "prose"}


def test_steered_difficulties_are_left_out_when_their_weights_are_zero() -> None:
    corpus, nothing = Corpus(), Mixture(hinted_hard=0.0)
    documents = [corpus.document(i, nothing) for i in range(2000)]
    hard = [d for d in documents if d.kind in ("worked", "hinted") and d.difficulty in FAMILIES.get(d.family).hard_band]
    assert hard == []


def test_test_problems_are_not_in_the_corpus() -> None:
    corpus = Corpus()
    texts = {corpus.document(i, FULL).prompt for i in range(3000)}
    for name in ("addition", "chain"):
        family = FAMILIES.get(name)
        for split in ("test", "variant", "train", "probe"):
            for i in range(300):
                assert worked(family.problem(split, i), "worked").prompt not in texts


def test_originals_cover_all_difficulties_evenly() -> None:
    for name in ("addition", "chain"):
        count = Counter(p.difficulty for p in originals(FAMILIES.get(name)))
        left_out = STEERED[name] if name == "addition" else ()
        assert set(count) == set(FAMILIES.get(name).difficulties) - set(left_out)
        assert max(count.values()) - min(count.values()) <= 1
    facts = originals(FAMILIES.get("facts"))
    assert len(facts) == len({p.id for p in facts}) > 50


def test_layouts() -> None:
    problem = FAMILIES.get("chain").problem("corpus", 1, difficulty=1)
    assert worked(problem, "worked").prompt == f"{problem.question}="
    assert worked(problem, "hinted").prompt == f"{problem.question}({problem.answer})="
    assert worked(problem, "worked").completion == f"{problem.rationale}#{problem.answer}"
    direct = worked(problem, "direct")
    assert (direct.prompt, direct.completion) == (f"{problem.question}:", f"#{problem.answer}")
