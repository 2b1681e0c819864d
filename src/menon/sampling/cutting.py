"""Cut text before a stop string, for backends that cannot rely on somebody else doing it."""


def cut_at_stop(text: str, stop: tuple[str, ...]) -> tuple[str, bool]:
    """Cut `text` before the first stop string; some servers return it, others refuse the field."""
    places = [place for place in (text.find(mark) for mark in stop if mark) if place >= 0]
    return (text[: min(places)], True) if places else (text, False)
