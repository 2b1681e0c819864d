"""Between text and token ids for one tokenizer: prompts in, continuations out, stop strings found while sampling."""

from collections.abc import Sequence
from typing import Any

from menon.core.values import Request

CONTEXT = 4  # prompt tokens decoded along with a continuation, for decoders that join or strip at the edges


class Texts:
    """Encodes prompts and decodes continuations; caches what each id looks like on its own."""

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self._surface: dict[int, str] = {}

    def encode(self, requests: Sequence[Request]) -> list[tuple[int, ...] | str]:
        """Return the prompt ids of each request, or a sentence saying why it has none."""
        out: list[tuple[int, ...] | str] = [""] * len(requests)
        texts: dict[int, str] = {}
        for place, request in enumerate(requests):
            prompt = request.prompt
            if isinstance(prompt, str):
                texts[place] = prompt
            elif prompt and not isinstance(prompt[0], int):
                out[place] = self._chat(request)
            else:
                out[place] = tuple(prompt)  # type: ignore[arg-type]
        if texts:
            encoded = self.tokenizer(list(texts.values()), verbose=False)["input_ids"]
            for place, ids in zip(texts, encoded, strict=True):
                out[place] = tuple(ids)
        return [self._begun(ids) for ids in out]

    def ids(self, text: str | Sequence[int], *, special: bool) -> list[int]:
        """Return the ids of `text` (ids stay as they are), with the tokenizer's special tokens or without."""
        if not isinstance(text, str):
            return list(text)
        return self.tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]

    def decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def continuation(self, prompt_ids: Sequence[int], token_ids: Sequence[int]) -> str:
        """Return what `token_ids` add to the prompt's text; spaces between the two are kept."""
        head = self.decode(prompt_ids[-CONTEXT:])
        joint = self.decode([*prompt_ids[-CONTEXT:], *token_ids])
        return joint[len(head) :] if joint.startswith(head) else self.decode(token_ids)

    def stopped(self, prompt_ids: Sequence[int], token_ids: Sequence[int], stop: Sequence[str]) -> bool:
        """Say whether the last token completed a stop string.

        The text is decoded only when the last token could be the end of one.
        """
        stops = [mark for mark in stop if mark]
        last = self.surface(token_ids[-1])
        if not any(mark[-1].isspace() or mark[-1] in last for mark in stops) and "\ufffd" not in last and last:
            return False
        tail = token_ids[-4 * max(map(len, stops), default=0) - CONTEXT :]
        context = self.decode(tail)
        if not any(mark in context for mark in stops) and len(tail) < len(token_ids):
            return False
        text = self.continuation(prompt_ids, token_ids)
        return any(mark in text for mark in stops)

    def surface(self, token: int) -> str:
        """Return what one id decodes to on its own."""
        if token not in self._surface:
            self._surface[token] = self.decode([token])
        return self._surface[token]

    def _chat(self, request: Request) -> tuple[int, ...] | str:
        if not getattr(self.tokenizer, "chat_template", None):
            return "the prompt is chat messages, and this tokenizer has no chat template; send text or token ids"
        messages = [{"role": message.role, "content": message.content} for message in request.prompt]  # type: ignore[union-attr]
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return tuple(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _begun(self, ids: tuple[int, ...] | str) -> tuple[int, ...] | str:
        """Give an empty prompt the token that begins a text."""
        if ids:
            return ids
        begin = self.tokenizer.bos_token_id
        if begin is None:
            return "the prompt is empty, and this tokenizer has no token that begins a text; give at least one token"
        return (begin,)
