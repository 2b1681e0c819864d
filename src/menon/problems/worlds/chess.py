"""Is this opening legal - with knights and bishops where they belong, and with their start squares exchanged?

One opening is asked in both worlds and is legal in exactly one of them, so that whoever answers by the usual start
position is wrong in the other world. Openings are legal random play, minor pieces preferred.
Source: Wu et al. 2023, arXiv:2307.02477, section 3.6; there the pieces' letters are exchanged in the text too, here the
text is the same in both worlds; openings and texts are our own.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from random import Random

from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.splits import draw_in_split
from menon.problems.worlds.chess_reference import is_legal_opening
from menon.problems.worlds.chess_rules import Move, Position, moves_named, san_of, square_name, start_position
from menon.problems.worlds.selection import falls_even, known_difficulty, known_world

PIECES = {"n": "knights", "b": "bishops", "r": "rooks"}
RULES = {
    "default": "A game of chess is played by the usual rules, from the usual start position.",
    "swapped": (
        "A game of chess is played by the usual rules except for the start position: before the first move, every "
        "knight has changed places with the bishop of its own colour that stands beside it. All pieces move as usual."
    ),
}
_KINDS = {"pawn": "P", "minor": "NB", "other": "RQK"}
_SHARES = {"pawn": 4, "minor": 5, "other": 1}  # how often random play moves what
_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Chess:
    """Legality of openings of `difficulty` half-moves."""

    name: str = "chess"
    description: str = "is this chess opening legal; counterfactual: knights and bishops start on exchanged squares"
    default: str = "usual-start"
    worlds: tuple[str, ...] = ("swapped",)
    difficulties: tuple[int, ...] = (4, 6, 8)

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate item `index`; without `difficulty` it is 4, 6 or 8 half-moves, 2 to 8 are allowed.

        Of items 2j and 2j + 1 of equal world one is legal and one is not.
        """
        world = known_world(self.name, world, self.default, self.worlds)
        plies = known_difficulty(
            self.name, difficulty, self.difficulties, range(2, 9), rng_for(self.name, split, index // 2)
        )
        home = "default" if falls_even(index, self.name, split, plies) else "swapped"
        opening, fault = _drawn(split, index, plies, home)
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            difficulty=plies,
            template=f"chess/{plies}",
            question=(
                f"{RULES[world]} An opening need not be good; it is legal when every one of its moves is legal.\n"
                f'Is the opening "{opening}" legal? Answer with yes or no.'
            ),
            answer="yes" if world == home else "no",
            grader="word",
            meta={
                "item": opening,
                "labels": ["yes", "no"],
                "synonyms": {"legal": "yes", "illegal": "no"},
                "chance": 0.5,
                "fault": fault,
            },
        )

    def control(self, split: str, index: int, *, world: str = "default") -> Problem:
        """Ask on which squares a side's knights, bishops or rooks start; there are six such questions a world."""
        world = known_world(self.name, world, self.default, self.worlds)
        turn, place = divmod(index, 2 * len(PIECES))
        asked = [(kind, side) for kind in PIECES for side in ("White", "Black")]
        rng_for(self.name, "control", split, turn).shuffle(asked)
        kind, side = asked[place]
        board = start_position(world).board
        wanted = kind.upper() if side == "White" else kind
        squares = " ".join(square_name(square) for square, piece in enumerate(board) if piece == wanted)
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            template="chess/control",
            question=(
                f"{RULES[world]}\nOn which two squares do the {PIECES[kind]} of {side} stand before the first move? "
                "Answer with the names of the two squares, separated by a blank."
            ),
            answer=squares,
            grader="squares",
            meta={"item": f"{side} {PIECES[kind]}", "control": True},
        )

    def solve(self, problem: Problem) -> str:
        """Check the quoted opening by geometry, or count off the start squares along the back rank."""
        quoted = re.search(r'"(.*?)"', problem.question)
        swapped = "changed places" in problem.question
        if quoted is not None:
            return "yes" if is_legal_opening(quoted.group(1), "swapped" if swapped else "default") else "no"
        kind = next(kind for kind in ("knight", "bishop", "rook") if f"the {kind}s of" in problem.question)
        files = {"rook": "ah", "knight": "cf" if swapped else "bg", "bishop": "bg" if swapped else "cf"}[kind]
        row = 1 if "of White" in problem.question else 8
        return " ".join(f"{file}{row}" for file in files)


@dataclass(frozen=True, slots=True)
class _Play:
    """An opening under way in its home world and, up to the half-move `fault` at which it breaks, in the other one."""

    here: Position
    there: Position
    fault: int
    written: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def _drawn(split: str, index: int, plies: int, home: str) -> tuple[str, int]:
    """Draw an opening; the split owns its first two half-moves, so that no two splits have openings that begin alike.

    Returns the text and the half-move, drawn evenly from 0, at which it becomes illegal in the world that is not its
    home. Up to there every move is legal and written alike in both worlds, and the breaking move could be made by no
    piece of the other world: legality never hangs on notation.
    """
    other = "swapped" if home == "default" else "default"
    names = ("chess", index, plies, "opening")

    def begin(rng: Random) -> _Play:
        while True:
            play = _Play(start_position(home), start_position(other), rng.randrange(plies))
            if (play := _continued(rng, play, 2)) is not None:
                return play

    for attempt in count():
        play = draw_in_split(split, begin, lambda play: ("chess", *play.written), *names, attempt)
        play = _continued(rng_for(*names, split, attempt, "rest"), play, plies)
        if play is not None:
            numbered = [f"{ply // 2 + 1}. {san}" if ply % 2 == 0 else san for ply, san in enumerate(play.written)]
            return " ".join(numbered), play.fault
    raise AssertionError("count does not end")


def _continued(rng: Random, play: _Play, plies: int) -> _Play | None:
    """Play on at random up to `plies` half-moves; None when no fitting move was found."""
    here, there, written = play.here, play.there, list(play.written)
    for ply in range(len(written), plies):
        for _ in range(_TRIES if here.moves else 0):
            move = _random_move(rng, here, minor=ply == play.fault)
            san = san_of(here, move)
            named = moves_named(there, san) if ply <= play.fault else []
            alike = len(named) == 1 and san_of(there, named[0]) == san
            if ply > play.fault or (not named if ply == play.fault else alike):
                break
        else:
            return None
        there = there.play(named[0]) if named else there
        here = here.play(move)
        written.append(san)
    return _Play(here, there, play.fault, tuple(written))


def _random_move(rng: Random, position: Position, *, minor: bool) -> Move:
    """Draw a legal move, half the time of a knight or bishop; `minor` asks for one of those where there is one."""
    by_kind = {
        name: [move for move in position.moves if position.board[move.start].upper() in letters]
        for name, letters in _KINDS.items()
    }
    shares = {name: _SHARES[name] for name in by_kind if by_kind[name]}
    chosen = "minor" if minor and by_kind["minor"] else rng.choices(list(shares), list(shares.values()))[0]
    return rng.choice(by_kind[chosen])


CHESS = Chess()
