"""Streams of training documents, and their blending by shares of tokens.

text       worked problems of the held-in families, originals repeated word for word, answers, facts, prose
code       programs of the held-in and the code-only families, half of them with comments
bare, commented   the same without comments, and with comments in all
other      programs of the code-only families alone, half of them with comments
markup     worked problems of the held-in families as HTML, LaTeX and table rows
aligned    worked text of a held-in family with its own program; unaligned: with another family's
answers    questions of the held-in families with the answer alone, for tuning afterwards

Every stream is a known corpus under a name of seed, phase and stream, so that arms of one seed share their documents.
"""

from menon.core.seeds import rng_for
from menon.problems.known.corpus import KnownCorpus
from menon.problems.known.facts import QUESTIONS, STATEMENTS, facts, quiz, state
from menon.problems.known.mixture import KnownMixture
from menon.problems.known.values import KnownDocument
from menon.studies.code_mixture.recipe import CodeMixture, MixtureArm, Tasks
from menon.studies.known.training import Phase, encode, known_tokenizer

TEXT_KINDS = {"procedure": 0.65, "original": 0.20, "answer": 0.08, "prose": 0.07}
FACTS = 0.35  # share of the documents of stream `text`
QUESTIONS_OF_FACTS = 0.6  # of which have a question


def mixture_of(stream: str, tasks: Tasks) -> KnownMixture:
    """Return what the documents of `stream` are drawn from."""
    both = dict.fromkeys((*tasks.held_in, *tasks.code_only), 1.0)
    held_in, code_only = dict.fromkeys(tasks.held_in, 1.0), dict.fromkeys(tasks.code_only, 1.0)
    comments = {"commented": 1.0, "code": 0.5, "other": 0.5}.get(stream, 0.0)
    if stream in ("code", "bare", "commented", "other"):
        families = code_only if stream == "other" else both
        return KnownMixture(kinds={"procedure": 1.0}, forms={"code": 1.0}, families=families, comments=comments)
    kinds = {"text": TEXT_KINDS, "answers": {"answer": 1.0}, "markup": {"procedure": 1.0}}.get(stream, {stream: 1.0})
    form = "markup" if stream == "markup" else "text"
    return KnownMixture(kinds=kinds, forms={form: 1.0}, families=held_in, comments=comments, originals=tasks.originals)


class Stream:
    """The documents of one stream; facts are the first ones of tier `frequent`, as many as are asked about."""

    def __init__(self, stream: str, tasks: Tasks, *names: str | int):
        self.corpus = KnownCorpus(mixture_of(stream, tasks), "/".join(map(str, ("code-mixture", *names, stream))))
        self._facts = facts("frequent")[: tasks.facts] if stream == "text" else ()

    def document(self, index: int) -> KnownDocument:
        """Return document `index`; equal names and indices give equal documents."""
        rng = rng_for("code-mixture", "fact", self.corpus.name, index)
        if not self._facts or rng.random() >= FACTS:
            return self.corpus.document(index)
        fact = rng.choice(self._facts)
        if rng.random() < QUESTIONS_OF_FACTS:
            return quiz(fact, rng.randrange(len(QUESTIONS)), mark=rng.choice("==:"))
        return state(fact, rng.randrange(len(STATEMENTS)))


class Blend:
    """Documents of several streams: the next one is always of the stream that is furthest behind its share of tokens.

    Calling it with an index gives that document; places before it are remembered as two numbers each.
    """

    def __init__(self, mix: dict[str, float], tasks: Tasks, *names: str | int):
        self.mix = {stream: share for stream, share in mix.items() if share > 0}
        self.tokens = dict.fromkeys(self.mix, 0)
        self._streams = {stream: Stream(stream, tasks, *names) for stream in self.mix}
        self._next = dict.fromkeys(self.mix, 0)
        self._places: list[tuple[str, int]] = []
        self._tokenizer = known_tokenizer()

    def __call__(self, index: int) -> KnownDocument:
        while len(self._places) <= index:
            stream = min(self.mix, key=lambda name: self.tokens[name] / self.mix[name])
            place = self._next[stream]
            document = self._streams[stream].document(place)
            self.tokens[stream] += len(encode(document, self._tokenizer).ids)
            self._next[stream] += 1
            self._places.append((stream, place))
            if len(self._places) == index + 1:
                return document
        stream, place = self._places[index]
        return self._streams[stream].document(place)


def phases_of(recipe: CodeMixture, arm: MixtureArm, seed: int) -> list[Phase]:
    """Return the phases of an arm as they are trained; a tuning learns completions alone."""
    total = recipe.tokens_of(arm)
    when = "tuning" if arm.after else "phase"
    return [
        Phase(
            documents=Blend(phase.mix, recipe.tasks, seed, when, number),
            tokens=round(total * phase.part),
            prompt_weight=0.0 if arm.after else recipe.prompt_weight,
        )
        for number, phase in enumerate(arm.phases)
    ]
