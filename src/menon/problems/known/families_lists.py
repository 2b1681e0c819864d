"""Five procedures on short lists of digits: reverse, largest, sort, first plus last, and count.

The lists stand in brackets in every wording, so that no question is a part of a question about a longer list.
"""

from random import Random

from menon.problems.known.family import Content, KnownFamily, Step, Working

_LETTERS = "abcdefgh"


def _joined(items: Content | list[int]) -> str:
    return ",".join(map(str, items))


def _listed(content: Content) -> dict[str, str]:
    return {"list": f"[{_joined(content)}]"}


def _draw_digits(rng: Random, length: int) -> Content:
    return tuple(rng.randint(0, 9) for _ in range(length))


def _draw_small_ends(rng: Random, length: int) -> Content:
    middle = [rng.randint(0, 9) for _ in range(length - 2)]
    return (rng.randint(0, 4), *middle, rng.randint(0, 4))


def _draw_distinct(rng: Random, length: int) -> Content:
    return tuple(rng.sample(range(10), length))


def _work_reverse(content: Content) -> Working:
    places = range(len(content) - 1, -1, -1)
    steps = tuple(
        Step(
            text=f"take {content[place]}",
            code=f"{letter}=x[{place}]",
            value=str(content[place]),
            needs=(number - 1,) if number else (),
        )
        for number, (letter, place) in enumerate(zip(_LETTERS, places, strict=False))
    )
    answer = _joined(content[::-1])
    letters = ",".join(_LETTERS[: len(content)])
    return Working(
        setup=(f"x=[{_joined(content)}]",), steps=steps, result=f"[{letters}]", expected=f"[{answer}]", answer=answer
    )


REVERSE = KnownFamily(
    name="reverse",
    description="a short list of different digits from its end to its start",
    difficulties=(3,),
    wordings={
        "formula": ("reverse {list}.", "what is the reverse of {list}?", "compute reverse {list}."),
        "words": (
            "write {list} from the end.",
            "read {list} from last to first.",
            "tom has {list}. write it from the end.",
        ),
    },
    unknown=("snurf {list}.", "tom has {list}. snurf it from the end."),
    noun="reverse",
    draw=_draw_distinct,
    words_of=_listed,
    work=_work_reverse,
)


def _work_largest(content: Content) -> Working:
    steps: list[Step] = []
    best = content[0]
    for number, item in enumerate(content[1:]):
        before, best = best, max(best, item)
        name = str(before) if number == 0 else "m"
        steps.append(
            Step(
                text=f"{before},{item}:{best}",
                code=f"m=max({name},{item})",
                value=str(best),
                needs=(number - 1,) if number else (),
            )
        )
    return Working(steps=tuple(steps), result="m", expected=str(best), answer=str(best))


LARGEST = KnownFamily(
    name="largest",
    description="the largest digit of a short list",
    difficulties=(3,),
    wordings={
        "formula": ("largest of {list}?", "what is the largest of {list}?", "compute the largest of {list}."),
        "words": (
            "which of {list} is the most?",
            "tom has {list}. which is the most?",
            "find the top one in {list}.",
        ),
    },
    unknown=("quim of {list}?", "tom has {list}. which is the quim?"),
    noun="largest",
    draw=_draw_digits,
    words_of=_listed,
    work=_work_largest,
)


def _work_sort(content: Content) -> Working:
    left = list(content)
    steps: list[Step] = []
    for number, letter in enumerate(_LETTERS[: len(content)]):
        least = min(left)
        steps.append(
            Step(
                text=f"{_joined(left)}:{least}",
                code=f"{letter}=min([{_joined(left)}])",
                value=str(least),
                needs=(number - 1,) if number else (),
            )
        )
        left.remove(least)
    answer = _joined(sorted(content))
    letters = ",".join(_LETTERS[: len(content)])
    return Working(steps=tuple(steps), result=f"[{letters}]", expected=f"[{answer}]", answer=answer)


SORT = KnownFamily(
    name="sort",
    description="three different digits in ascending order",
    difficulties=(3,),
    wordings={
        "formula": ("sort {list}.", "what is the sort of {list}?", "compute sort {list}."),
        "words": (
            "put {list} in order.",
            "tom has {list}. put it in order.",
            "write {list} from least to most.",
        ),
    },
    unknown=("frond {list}.", "tom has {list}. put it in frond."),
    noun="order",
    draw=_draw_distinct,
    words_of=_listed,
    work=_work_sort,
)


def _work_ends(content: Content) -> Working:
    first, last = content[0], content[-1]
    total = first + last
    return Working(
        setup=(f"x=[{_joined(content)}]",),
        steps=(
            Step(text=f"first {first}", code="a=x[0]", value=str(first)),
            Step(text=f"last {last}", code="b=x[-1]", value=str(last)),
            Step(text=f"{first}+{last}={total}", code="c=a+b", value=str(total), needs=(0, 1)),
        ),
        result="c",
        expected=str(total),
        answer=str(total),
    )


ENDS = KnownFamily(
    name="ends",
    description="the first digit of a short list plus its last, both small",
    difficulties=(3,),
    wordings={
        "formula": ("first plus last of {list}?", "compute first plus last of {list}.", "ends of {list}?"),
        "words": (
            "tom has {list}. what is the first plus the last?",
            "take the first and the last of {list}. how many?",
            "what are the ends of {list} in all?",
        ),
    },
    unknown=("drim of {list}?", "tom has {list}. what is the drim?"),
    noun="sum",
    draw=_draw_small_ends,
    words_of=_listed,
    work=_work_ends,
)


def _work_count(content: Content) -> Working:
    steps = tuple(
        Step(text=f"{item}:{number}", code="n+=1", value=str(number), needs=(number - 2,) if number > 1 else ())
        for number, item in enumerate(content, start=1)
    )
    answer = str(len(content))
    return Working(setup=(f"x=[{_joined(content)}]", "n=0"), steps=steps, result="n", expected=answer, answer=answer)


COUNT = KnownFamily(
    name="count",
    description="how many items a short list of different digits has",
    difficulties=(3, 4, 5),
    wordings={
        "formula": ("count {list}.", "what is the count of {list}?", "compute the count of {list}."),
        "words": (
            "how many are in {list}?",
            "tom has {list}. how many are there?",
            "say how many there are in {list}.",
        ),
    },
    unknown=("plod {list}.", "tom has {list}. how plod are there?"),
    noun="count",
    draw=_draw_distinct,
    words_of=_listed,
    work=_work_count,
)
