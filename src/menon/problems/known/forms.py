"""How one worked problem is written down: text, answer only, program, flowchart, markup, and text beside its program.

Every form shows the same steps with the same values. Programs are short Python that runs and checks itself (`assert`);
with comments the question stands above and every step's value beside it, without comments neither is there.
"""

from collections.abc import Callable, Mapping

from menon.core.errors import ConfigError
from menon.core.seeds import seed_for
from menon.core.values import Problem
from menon.problems.known.families import working_of
from menon.problems.known.values import Form, KnownDocument

SOURCES: Mapping[str, str] = {
    "text": "textbook",
    "code": "repository",
    "flowchart": "charts",
    "markup": "markup",
}
_NODES = "abcdefghijkl"


def worked(problem: Problem) -> KnownDocument:
    """Return `question=` rationale `#answer`."""
    return _procedure(problem, "text", f"{problem.question}=", f"{problem.rationale}#{problem.answer}")


def answer_only(problem: Problem) -> KnownDocument:
    """Return `question:` `#answer`: it teaches this one answer and no procedure."""
    return KnownDocument(
        kind="answer",
        form="text",
        source="quiz",
        family=problem.family,
        teaches=(f"answer:{problem.id}",),
        prompt=f"{problem.question}:",
        completion=f"#{problem.answer}",
        answer=problem.answer,
        instance=problem.id,
    )


def program(problem: Problem, *, comments: bool = True) -> KnownDocument:
    """Return a program that computes the answer from the values of the question and asserts it."""
    prompt = f"# {problem.question}\n" if comments else ""
    return _procedure(problem, "code", prompt, _program_text(problem, comments), comments=comments)


def flowchart(problem: Problem) -> KnownDocument:
    """Return a Mermaid flowchart: a box per step, an arrow for what it builds on, a round box for the answer."""
    steps = working_of(problem).steps
    shown: set[int] = set()

    def node(place: int) -> str:
        label = "" if place in shown else f"[{steps[place].text}]"
        shown.add(place)
        return f"{_NODES[place]}{label}"

    arrows = [f"{node(before)}-->{node(place)}" for place, step in enumerate(steps) for before in step.needs]
    arrows.append(f"{node(len(steps) - 1)}-->{_NODES[len(steps)]}({problem.answer})")
    lines = ["graph TD", *arrows]
    return _procedure(problem, "flowchart", f"%% {problem.question}\n", "\n".join(lines))


def markup(problem: Problem) -> KnownDocument:
    """Return the steps as an HTML list, a LaTeX line or a table row; which of them depends on the problem."""
    steps = [step.text for step in working_of(problem).steps]
    layout = (_html, _latex, _table)[seed_for("markup", problem.id) % 3]
    prompt, completion = layout(problem.question, steps, problem.answer)
    return _procedure(problem, "markup", prompt, completion)


def aligned(problem: Problem, *, comments: bool = False) -> KnownDocument:
    """Return ONE document: the worked text and, on the next lines, the program of the same problem."""
    return _pair(problem, problem, comments)


def unaligned(problem: Problem, other: Problem, *, comments: bool = False) -> KnownDocument:
    """Return the layout of `aligned` with the program of another problem: as long, but nothing belongs together."""
    return _pair(problem, other, comments)


def _pair(problem: Problem, other: Problem, comments: bool) -> KnownDocument:
    taught = dict.fromkeys([f"procedure:{problem.family}", f"procedure:{other.family}"])
    return KnownDocument(
        kind="procedure",
        form="code",
        source="repository",
        family=problem.family,
        teaches=tuple(taught),
        prompt=f"{problem.question}=",
        completion=f"{problem.rationale}#{problem.answer}\n{_program_text(other, comments)}",
        answer=problem.answer,
        instance=problem.id,
        comments=comments,
    )


_RENDERINGS: Mapping[str, Callable[[Problem], KnownDocument]] = {
    "text": worked,
    "flowchart": flowchart,
    "markup": markup,
}


def render(problem: Problem, form: Form, *, comments: bool = True) -> KnownDocument:
    """Return the worked `problem` in `form`; `comments` matters for code only.

    Raises:
        ConfigError: procedures have no such form.
    """
    if form == "code":
        return program(problem, comments=comments)
    if form not in _RENDERINGS:
        raise ConfigError(f"procedures have no form {form!r}; allowed: text, code, flowchart, markup")
    return _RENDERINGS[form](problem)


def _procedure(problem: Problem, form: Form, prompt: str, completion: str, comments: bool = False) -> KnownDocument:
    return KnownDocument(
        kind="procedure",
        form=form,
        source=SOURCES[form],
        family=problem.family,
        teaches=(f"procedure:{problem.family}",),
        prompt=prompt,
        completion=completion,
        answer=problem.answer,
        instance=problem.id,
        comments=comments,
    )


def _program_text(problem: Problem, comments: bool) -> str:
    working = working_of(problem)
    lines = [*working.setup]
    lines += [f"{step.code} # {step.value}" if comments else step.code for step in working.steps]
    lines.append(f"assert {working.result}=={working.expected}")
    return "\n".join(lines)


def _html(question: str, steps: list[str], answer: str) -> tuple[str, str]:
    return f"<p>{question}</p>", "".join(f"<li>{step}" for step in steps) + f"<b>{answer}</b>"


def _latex(question: str, steps: list[str], answer: str) -> tuple[str, str]:
    return f"\\item {question}", "".join(f"${step}$" for step in steps) + f"\\boxed{{{answer}}}"


def _table(question: str, steps: list[str], answer: str) -> tuple[str, str]:
    return f"|{question}|", "".join(f"{step}|" for step in steps) + f"**{answer}**|"
