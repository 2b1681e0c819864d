"""A process that trains and examines models: orders come in as lines of JSON, values go out as lines of JSON.

It ends with its input, also in the middle of work: so nothing goes on when whoever gave the orders was killed. What the
work itself prints goes to standard error.
"""

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from menon.core.errors import MenonError
from menon.core.progress import Silent
from menon.core.recipe import load_recipe
from menon.studies.code_mixture.recipe import CodeMixture
from menon.studies.code_mixture.teach import perform


def serve(orders: "queue.SimpleQueue[dict[str, Any]]", answers: TextIO) -> None:
    """Answer orders as long as any come; an error that Menon foresees is an answer, any other ends the process."""
    while True:
        order = orders.get()
        recipe = load_recipe(order["recipe"], CodeMixture)
        try:
            value = perform(order["work"], recipe, Path(order["members"]), order["arm"], order["seed"], Silent())
        except MenonError as error:
            answer = {"error": str(error)}
        else:
            answer = {"value": value}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _listen(orders: "queue.SimpleQueue[dict[str, Any]]") -> None:
    for line in sys.stdin:
        orders.put(json.loads(line))
    os._exit(0)


def main() -> None:
    """Serve orders from standard input until it ends."""
    answers, sys.stdout = sys.stdout, sys.stderr
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever gave the orders decides what an interruption ends
    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    serve(orders, answers)


if __name__ == "__main__":
    main()
