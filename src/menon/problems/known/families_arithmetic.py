"""Three arithmetic procedures with small numbers: two-step arithmetic, slope through two points, and ax + b = c.

Numbers are small, and each single step comes up in many problems: a tiny model sees the sums of a held-out problem
again and again, and the problem itself never.
Source: the three reasoning tasks of Ruis et al. 2024, arXiv:2411.12580, section 3; there operands go up to 100 and
slopes may be negative.
"""

from random import Random

from menon.problems.known.family import Content, KnownFamily, Step, Working


def _draw_two_step(rng: Random, difficulty: int) -> Content:
    total = rng.randint(2, 7)
    part, factor = rng.randint(1, total - 1), rng.randint(2, 9)
    return (part, total - part, factor) if rng.random() < 0.5 else (total, -part, factor)


def _two_step_words(content: Content) -> dict[str, str]:
    first, second, factor = content
    names = ("+", "plus", "gain") if second > 0 else ("-", "minus", "lose")
    return {
        "a": str(first),
        "b": str(abs(second)),
        "c": str(factor),
        **dict(zip(("sign", "sign_word", "verb"), names, strict=True)),
    }


def _work_two_step(content: Content) -> Working:
    words = _two_step_words(content)
    inner = content[0] + content[1]
    product = inner * content[2]
    sum_text = f"{words['a']}{words['sign']}{words['b']}"
    return Working(
        steps=(
            Step(text=f"{sum_text}={inner}", code=f"a={sum_text}", value=str(inner)),
            Step(text=f"{inner}*{content[2]}={product}", code=f"b=a*{content[2]}", value=str(product), needs=(0,)),
        ),
        result="b",
        expected=str(product),
        answer=str(product),
    )


TWO_STEP = KnownFamily(
    name="two-step",
    description="two-step arithmetic, as (7-4)*2",
    difficulties=(2,),
    wordings={
        "formula": ("what is ({a}{sign}{b})*{c}?", "compute ({a}{sign}{b})*{c}.", "({a}{sign}{b})*{c} is what?"),
        "words": (
            "{a} {sign_word} {b}, then times {c}?",
            "start with {a}, {verb} {b}, then times {c}.",
            "tom has {a} pens, {verb} {b}, then times {c}. how many?",
        ),
    },
    unknown=("glorp ({a}{sign}{b})*{c}.", "{a} {sign_word} {b}, then glorp {c}?"),
    noun="result",
    draw=_draw_two_step,
    words_of=_two_step_words,
    work=_work_two_step,
)


def _draw_slope(rng: Random, difficulty: int) -> Content:
    run = rng.randint(1, 3)
    rise = run * rng.randint(1, 7 // run)
    left, low = rng.randint(0, 7 - run), rng.randint(0, 7 - rise)
    return (left, low, left + run, low + rise)


def _slope_words(content: Content) -> dict[str, str]:
    return dict(zip("abcd", map(str, content), strict=True))


def _work_slope(content: Content) -> Working:
    left, low, right, high = content
    rise, run = high - low, right - left
    slope = rise // run
    return Working(
        steps=(
            Step(text=f"{high}-{low}={rise}", code=f"a={high}-{low}", value=str(rise)),
            Step(text=f"{right}-{left}={run}", code=f"b={right}-{left}", value=str(run)),
            Step(text=f"{rise}/{run}={slope}", code="c=a//b", value=str(slope), needs=(0, 1)),
        ),
        result="c",
        expected=str(slope),
        answer=str(slope),
    )


SLOPE = KnownFamily(
    name="slope",
    description="the slope of the line through two points with small coordinates",
    difficulties=(3,),
    wordings={
        "formula": (
            "slope of ({a},{b}),({c},{d})?",
            "what is the slope of ({a},{b}),({c},{d})?",
            "compute the slope of ({a},{b}),({c},{d}).",
        ),
        "words": (
            "a line goes from {a},{b} to {c},{d}. what is the slope?",
            "from {a},{b} to {c},{d}, how steep?",
            "how steep is the path from {a},{b} to {c},{d}?",
        ),
    },
    unknown=("blint of ({a},{b}),({c},{d})?", "a line goes from {a},{b} to {c},{d}. what is the blint?"),
    noun="slope",
    draw=_draw_slope,
    words_of=_slope_words,
    work=_work_slope,
)


# Products of several pairs of factors: a step of a held-out equation is then a step of others that are not held out.
_PRODUCTS = (6, 8, 12, 18, 24)


def _draw_linear(rng: Random, difficulty: int) -> Content:
    product = rng.choice(_PRODUCTS)
    factor = rng.choice([number for number in range(2, 7) if product % number == 0])
    shift = rng.randint(1, 9)
    if rng.random() < 0.5 and product > shift:
        shift = -shift
    return (factor, shift, product + shift)


def _linear_words(content: Content) -> dict[str, str]:
    factor, shift, total = content
    names = ("+", "plus") if shift > 0 else ("-", "minus")
    return {
        "a": str(factor),
        "b": str(abs(shift)),
        "c": str(total),
        **dict(zip(("sign", "sign_word"), names, strict=True)),
    }


def _work_linear(content: Content) -> Working:
    factor, shift, total = content
    product = total - shift
    back = f"{total}{'-' if shift > 0 else '+'}{abs(shift)}"
    solution = product // factor
    return Working(
        steps=(
            Step(text=f"{back}={product}", code=f"a={back}", value=str(product)),
            Step(text=f"{product}/{factor}={solution}", code=f"x=a//{factor}", value=str(solution), needs=(0,)),
        ),
        result="x",
        expected=str(solution),
        answer=str(solution),
    )


LINEAR = KnownFamily(
    name="linear",
    description="solve ax+b=c for x",
    difficulties=(2,),
    wordings={
        "formula": ("solve {a}x{sign}{b}={c} for x.", "{a}x{sign}{b}={c}, what is x?", "find x in {a}x{sign}{b}={c}."),
        "words": (
            "{a} times x {sign_word} {b} is {c}. what is x?",
            "take x times {a} {sign_word} {b}, it is {c}. find x.",
            "if {a} times x {sign_word} {b} is {c}, what is x?",
        ),
    },
    unknown=("vark {a}x{sign}{b}={c} for x.", "{a} times x {sign_word} {b} is {c}. what is the vark?"),
    noun="x",
    draw=_draw_linear,
    words_of=_linear_words,
    work=_work_linear,
)
