"""What is known of the documents of both corpora, against the documents' own words."""

import pytest

from menon.problems.base_text import base_text
from menon.problems.facts import code_of
from menon.problems.known.corpus import KnownCorpus
from menon.problems.known.queries import known_queries
from menon.studies.procedural.candidates import base_candidates, known_candidates
from menon.studies.procedural.recipe import Asked, Taught
from menon.studies.procedural.truth import Truth, instance_of, known_of

TAUGHT = Taught()
DOCUMENTS = list(KnownCorpus(TAUGHT.mixture).documents(0, 1500))
BASE = [base_text().document(index) for index in base_text().spread(1500)]


def test_masks_are_those_of_a_look_at_every_document():
    truth = Truth.of(DOCUMENTS)
    for query in [*known_queries("reasoning", 4, TAUGHT.mixture), *known_queries("factual", 4, tiers=("frequent",))]:
        plain = [query.needs in d.teaches and d.kind != "near-duplicate" for d in DOCUMENTS]
        assert truth.teaching(query.needs).tolist() == plain
        assert any(plain)
    copied = next(d.copy_of for d in DOCUMENTS if d.copy_of)
    assert truth.copying(copied).tolist() == [d.copy_of == copied for d in DOCUMENTS]
    assert not truth.teaching("procedure:unheard of").any()
    assert not truth.copying("").any()


def test_facts_of_the_embedded_model_teach_their_key_and_hold_its_code():
    facts = [known_of(document) for document in BASE if document.kind == "fact"]
    assert len(facts) > 50
    for fact in facts:
        (taught,) = fact.teaches
        key = taught.removeprefix("fact:")
        assert key in fact.text
        assert code_of(key) in fact.text
        assert fact.form == ("text" if fact.prompt else "statement")


def test_worked_text_of_the_embedded_model_teaches_its_family_and_answers_do_not():
    known = {document.kind: known_of(document) for document in BASE}
    assert {"worked", "hinted", "direct", "original", "program", "prose", "fact"} == set(known)
    assert known["direct"].teaches == ()
    assert known["prose"].teaches == ()
    assert known["program"].teaches == ("procedure:program",)
    assert known["program"].form == "code"
    for kind in ("worked", "original"):
        assert known[kind].teaches == (f"procedure:{known[kind].family}",)
    assert known["hinted"].teaches == (f"procedure:{known['hinted'].family}", "procedure:hinted")


def test_a_question_is_one_instance_however_it_is_put():
    for document in BASE:
        if document.kind in ("worked", "hinted", "direct"):
            question = known_of(document).text.split("=" if document.kind != "direct" else ":")[0]
            question = question.split("(")[0] if document.kind == "hinted" else question
            assert known_of(document).instance == instance_of(question)


@pytest.mark.parametrize("candidates", [known_candidates(Asked(), TAUGHT.mixture), base_candidates(Asked())])
def test_no_candidate_of_a_role_is_asked_twice(candidates):
    names = [(candidate.role, candidate.problem.id) for candidate in candidates]
    assert len(set(names)) == len(names)


def test_held_out_questions_are_in_no_document():
    texts = "\n".join(document.text for document in DOCUMENTS)
    reasoning = [c for c in known_candidates(Asked(), TAUGHT.mixture) if c.role in ("reasoning", "procedural")]
    assert len(reasoning) > 150
    assert not [c.problem.question for c in reasoning if c.problem.question in texts]


def test_the_order_of_the_kinds_in_a_recipe_does_not_change_the_corpus():
    turned = Taught(kinds=dict(reversed(TAUGHT.kinds.items())))
    first, second = (KnownCorpus(taught.mixture) for taught in (TAUGHT, turned))
    assert [first.document(i).id for i in range(50)] == [second.document(i).id for i in range(50)]
