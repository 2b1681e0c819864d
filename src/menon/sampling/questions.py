"""Find which of many known questions a prompt asks last."""

LEAD = 24


class QuestionIndex:
    """Known questions, looked up by their first characters, so that a prompt costs its length and not their number."""

    def __init__(self) -> None:
        self._by_lead: dict[str, list[str]] = {}
        self._lengths: set[int] = set()

    def add(self, question: str) -> None:
        """Make a question known."""
        lead = question[:LEAD]
        known = self._by_lead.setdefault(lead, [])
        if question and question not in known:
            known.append(question)
            self._lengths.add(len(lead))

    def last_in(self, prompt: str) -> str | None:
        """Return the known question that ends last in `prompt` (few-shot prompts ask the last one), longest first."""
        best: tuple[int, str] | None = None
        for start in range(len(prompt)):
            for length in self._lengths:
                for question in self._by_lead.get(prompt[start : start + length], ()):
                    end = start + len(question)
                    # An earlier start that ends at the same place is longer, so it was met first and stays.
                    if prompt.startswith(question, start) and _stands_alone(prompt, start, end):
                        best = max(best or (end, question), (end, question), key=lambda pair: pair[0])
        return None if best is None else best[1]


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Say whether `text[start:end]` begins and ends between words, so that 2+2 is not found in 12+2."""
    glued_before = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
    glued_after = end < len(text) and text[end - 1].isalnum() and text[end].isalnum()
    return not (glued_before or glued_after)
