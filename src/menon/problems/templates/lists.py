"""Lists that templates refer to by name: given names, currency signs, fractions, multiples, weekdays and so on.

The published files use these names and define none of them; the contents here are our own, of the form that the
published instances show. Numbers that are written out are pairs of text and value.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from menon.core.errors import ConfigError
from menon.problems.templates.functions import FAILURES, Value, as_value, bounded, number_words

_FEMALE = ["Adaeze", "Agnes", "Aiko", "Amina", "Anneke", "Beatriz", "Bronwyn", "Camila", "Carmen", "Chiara",
           "Daniela", "Delphine", "Elif", "Esther", "Farida", "Fatou", "Freya", "Greta", "Hana", "Ingrid", "Isabel",
           "Jolanta", "Kalinda", "Katarina", "Leila", "Lucia", "Malia", "Marta", "Mei", "Nadira", "Ngozi", "Olga",
           "Priya", "Rosa", "Saoirse", "Shirin", "Sunita", "Tamar", "Ulrike", "Vera", "Wanjiru", "Xiomara", "Yuki",
           "Zeynep"]  # fmt: skip
_MALE = ["Ahmet", "Alejandro", "Anselm", "Babak", "Bao", "Bjorn", "Cedric", "Chidi", "Dmitri", "Eamon", "Emeka",
         "Enzo", "Felix", "Giorgio", "Hamid", "Hiroshi", "Idris", "Ivan", "Javier", "Joao", "Kofi", "Kwame", "Lars",
         "Luca", "Mateo", "Milan", "Nikhil", "Oscar", "Pavel", "Pedro", "Quentin", "Rafael", "Ravi", "Samuel",
         "Sanjay", "Sven", "Tariq", "Tomas", "Uri", "Viktor", "Wei", "Xavier", "Yusuf", "Zoran"]  # fmt: skip
_ORDINALS = ("third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def _spelled(over: int, under: int) -> str:
    part = "half" if under == 2 else _ORDINALS[under - 3]
    return f"{number_words(over)}-{part}{'s' if over > 1 else ''}"


_PROPER = [(1, 2), *((over, under) for under in range(3, 7) for over in range(1, under))]
_UNIT = [(1, under) for under in range(7, 11)]
_REDUCED = [(over, under) for over, under in _PROPER if Fraction(over, under).denominator == under]


def _signs(pairs: Sequence[tuple[int, int]]) -> list[Value]:
    return [Value(f"{over}/{under}", Fraction(over, under)) for over, under in pairs]


def _words(pairs: Sequence[tuple[int, int]]) -> list[Value]:
    return [Value(_spelled(over, under), Fraction(over, under)) for over, under in pairs]


_NUMS = [(1, 2), (1, 3), (1, 4), (2, 3), *(p for p in _PROPER if p not in ((1, 2), (1, 3), (1, 4), (2, 3))), *_UNIT]
_SPOKEN = {"half": 2, "a third": 3, "a quarter": 4, "a fifth": 5, "an eighth": 8, "a tenth": 10}

LISTS: Mapping[str, Sequence[Any]] = {
    "names_female": _FEMALE,
    "names_male": _MALE,
    "names": [*_FEMALE, *_MALE],
    "currencies_sym": ["$", "€", "£", "¥", "₹"],
    "fraction_alph": _words(_REDUCED),
    "fraction_nums": _signs(_NUMS),
    "fraction_alnum": [v for pair in [*_REDUCED, *_UNIT] for v in (*_signs([pair]), *_words([pair]))],
    "fractions": [
        *_signs([(1, under) for under in range(2, 11)]),
        *(Value(text, Fraction(1, under)) for text, under in _SPOKEN.items()),
    ],
    "fraction_decimals": [tenths / 10 for tenths in range(1, 10)],
    "multi_times": [Value(f"{number_words(n)} times", n) for n in range(2, 11)],
    "multiple_ice": [Value("twice", 2), Value("thrice", 3)],
    "multiple": [Value("double", 2), Value("triple", 3), Value("quadruple", 4), Value("quintuple", 5)],
    "weekdays": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "fruits": ["apple", "apricot", "banana", "coconut", "fig", "guava", "lemon", "mango", "orange", "papaya", "pear"],
    "colors": ["red", "green", "blue", "yellow", "orange", "purple", "brown", "white", "black", "gray", "pink", "teal",
               "beige", "crimson", "turquoise", "violet"],
    "cities": ["Accra", "Athens", "Bogota", "Cairo", "Casablanca", "Chennai", "Dakar", "Denver", "Dublin", "Hanoi",
               "Helsinki", "Istanbul", "Jakarta", "Kyoto", "Lagos", "Lima", "Lisbon", "Manila", "Montreal", "Nairobi",
               "Naples", "Oslo", "Perth", "Prague", "Quito", "Riga", "Santiago", "Seoul", "Tbilisi", "Vienna"],
    "sports": ["badminton", "baseball", "basketball", "cricket", "football", "handball", "hockey", "tennis"],
    "weights_med": ["pound", "kg", "kilogram"],
    "weights_sm": ["ounce", "gram"],
    "length_lg": ["mile", "kilometer"],
}  # fmt: skip


def lists_with(own: Mapping[str, Sequence[Any]] | None = None) -> dict[str, Sequence[Any]]:
    """Return the lists, those of `own` added or put in the place of ours.

    Raises:
        ConfigError: a list of `own` is empty, or holds something that is no text, number or pair (text, value).
    """
    merged = dict(LISTS)
    for name, items in (own or {}).items():
        try:
            values = [as_value(tuple(item) if isinstance(item, list) else item) for item in bounded(items)]
        except FAILURES as error:
            raise ConfigError(f"list {name!r} cannot be used: {error}") from None
        if not values or not name.isidentifier():
            raise ConfigError(f"list {name!r} is {items!r:.60}; allowed: a name that is a word, and one entry or more")
        merged[name] = values
    return merged
