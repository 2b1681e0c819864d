"""Chess: rules against published move counts, recorded openings and a second implementation; the world task."""

import gzip
import json
import random
import re
from pathlib import Path

import pytest

from menon import Completion, ConfigError, DataError, Verdict
from menon.grading.verdicts import grade
from menon.problems.worlds.chess import CHESS
from menon.problems.worlds.chess_reference import is_legal_opening, written_moves
from menon.problems.worlds.chess_rules import (
    Move,
    Position,
    moves_named,
    position_of,
    san_of,
    square_name,
    square_of,
    start_position,
)

# Published counts (the chess programming wiki's perft positions).
PERFT = {
    "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1": (20, 400, 8902),
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1": (48, 2039, 97862),
    "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1": (14, 191, 2812, 43238),
    "r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1": (6, 264, 9467),
    "rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8": (44, 1486),
}


def perft(position: Position, depth: int) -> int:
    if depth == 1:
        return len(position.moves)
    return sum(perft(position.play(move), depth - 1) for move in position.moves)


def played(world: str, opening: str) -> bool:
    """Play an opening with the move generator; False at the first move that is not exactly one legal move."""
    position = start_position(world)
    for san in written_moves(opening):
        named = moves_named(position, san)
        if len(named) != 1:
            return False
        position = position.play(named[0])
    return True


@pytest.mark.parametrize("fen", PERFT)
def test_move_counts_are_the_published_ones(fen: str) -> None:
    position = position_of(fen)
    assert tuple(perft(position, depth) for depth in range(1, len(PERFT[fen]) + 1)) == PERFT[fen]


def test_swapped_start_has_its_own_first_moves() -> None:
    moves = {san_of(start_position("swapped"), move) for move in start_position("swapped").moves}
    assert {"Nb3", "Nd3", "Ne3", "Ng3"} <= moves
    assert not {"Na3", "Nc3", "Nf3", "Nh3"} & moves
    assert len(moves) == 20


@pytest.mark.parametrize(
    ("fen", "san", "means"),
    [
        ("4k3/8/8/8/8/8/8/R3K2R w KQ -", "O-O-O", ("e1", "c1")),
        ("4k3/8/8/8/8/8/8/RN2K2R w KQ -", "O-O-O", None),
        ("4k3/8/8/8/8/8/8/RN2K2R w KQ -", "0-0", ("e1", "g1")),
        ("4k3/8/8/8/8/5r2/8/R3K2R w KQ -", "O-O", None),  # the king would pass an attacked square
        ("1r2k3/8/8/8/8/8/8/R3K2R w KQ -", "O-O-O", ("e1", "c1")),  # only the rook passes one
        ("4k3/8/8/8/8/8/8/R3K2R w Q -", "O-O", None),
        ("4k3/8/8/3pP3/8/8/8/4K3 w - d6", "exd6", ("e5", "d6")),
        ("4k3/8/8/3pP3/8/8/8/4K3 w - -", "exd6", None),
        ("4k3/P7/8/8/8/8/8/4K3 w - -", "a8=N", ("a7", "a8")),
        ("4k3/P7/8/8/8/8/8/4K3 w - -", "a8", None),
        ("4r1k1/8/8/8/8/8/4B3/4K3 w - -", "Bd3", None),  # pinned
        ("4k3/8/8/8/8/8/8/1N2KN2 w - -", "Nd2", None),  # two knights can go there
        ("4k3/8/8/8/8/8/8/1N2KN2 w - -", "Nbd2", ("b1", "d2")),
        ("4k3/8/8/8/8/8/8/1N2KN2 w - -", "N1d2", None),
        ("4k3/8/8/8/8/8/8/4K3 w - -", "castles", None),
    ],
)
def test_reads_moves(fen: str, san: str, means: tuple[str, str] | None) -> None:
    named = moves_named(position_of(fen), san)
    found = (square_name(named[0].start), square_name(named[0].end)) if len(named) == 1 else None
    assert found == means


@pytest.mark.parametrize(
    ("opening", "world", "legal"),
    [
        ("1. Nf3 Nf6 2. g3 g6 3. Bg2 Bg7 4. O-O O-O", "default", True),
        ("1. Nf3 Nf6 2. g3 g6 3. Bg2 Bg7 4. O-O O-O", "swapped", False),
        ("1. Ne3 Ne6 2. h3 h6 3. Bh2 Bh7 4. O-O O-O", "swapped", True),
        ("1. Nf3 Nf6 2. g3 g6 3. Bg2 Bg7 4. Rg1 O-O 5. Rh1 d6 6. O-O", "default", False),
        ("1. Nf3 Nf6 2. g3 g6 3. Bg2 Bg7 4. Kf1 O-O 5. Ke1 d6 6. O-O", "default", False),
        ("1. Nf3 Nf6 2. g3 g6 3. Bg2 Bg7 4. O-O-O", "default", False),
        ("1. d4 d5 2. Nc3 Nc6 3. Bf4 Bf5 4. Qd2 Qd7 5. O-O-O O-O-O", "default", True),
        ("1. e4 d5 2. Bb5+ a6", "default", False),
        ("1. e4 d5 2. Bb5+ c6", "default", True),
        ("1. e4 a6 2. e5 d5 3. exd6", "default", True),
        ("1. e4 d5 2. e5 a6 3. exd6", "default", False),
        ("1. e4 e5 2. e5", "default", False),
    ],
)
def test_openings_known_by_hand(opening: str, world: str, legal: bool) -> None:
    assert played(world, opening) is legal
    assert is_legal_opening(opening, world) is legal


def test_a_taken_rook_does_not_castle() -> None:
    position = position_of("4k3/8/8/8/8/6n1/8/4K2R b K -")
    for san in ("Nxh1", "Kd1", "Ng3", "Ke1", "Kd8"):
        position = position.play(moves_named(position, san)[0])
    assert moves_named(position, "O-O") == []
    position = position_of("4k3/8/8/8/8/6n1/8/R3K2R b KQ -")
    after = position.play(moves_named(position, "Nxh1")[0])
    assert after.castling == "Q"


def test_writes_what_it_reads_in_random_games() -> None:
    rng = random.Random(5)
    for _ in range(15):
        position = start_position(rng.choice(("default", "swapped")))
        for _ in range(40):
            if not position.moves:
                break
            move = rng.choice(position.moves)
            san = san_of(position, move)
            assert moves_named(position, san) == [move]
            position = position.play(move)
            assert san.endswith(("+", "#")) == position.in_check()


def test_fools_mate_is_marked_as_mate() -> None:
    position = start_position("default")
    for san in ("f3", "e5", "g4"):
        position = position.play(moves_named(position, san)[0])
    assert san_of(position, Move(square_of("d8"), square_of("h4"))) == "Qh4#"
    assert position.play(moves_named(position, "Qh4")[0]).moves == ()


def test_a_damaged_position_is_refused() -> None:
    with pytest.raises(DataError, match="8 ranks"):
        position_of("rnbqkbnr/ppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq -")


def test_both_implementations_agree_on_random_openings() -> None:
    """Random moves, half of them bent a little, so that legal and illegal openings of all kinds come up."""
    rng = random.Random(11)
    verdicts = []
    for _ in range(160):
        world = rng.choice(("default", "swapped"))
        position, texts = start_position(world), []
        for _ in range(rng.randint(4, 24)):
            move = rng.choice(position.moves)
            texts.append(san_of(position, move))
            position = position.play(move)
            if not position.moves or any(position.board[s] in "Pp" for s in (*range(8), *range(56, 64))):
                break
        if rng.random() < 0.5:
            at = rng.randrange(len(texts))
            texts[at] = re.sub(r"[a-h](?=[1-8])", rng.choice("abcdefgh"), texts[at])
        if any("=" in san for san in texts):
            continue  # the reference leaves promotion out
        opening = " ".join(texts)
        verdicts.append(played(world, opening))
        assert is_legal_opening(opening, world) == verdicts[-1], (world, opening)
    assert 30 < sum(verdicts) < len(verdicts) - 30


def test_recorded_openings_have_their_recorded_legality(shared_data: Path) -> None:
    file = shared_data / "counterfactual" / "chess_gpt4.jsonl.gz"
    if not file.is_file():
        pytest.skip(f"no {file.name} in the shared data")
    counted = 0
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["task"] != "chess":
                continue
            opening = re.search(r'"(1\. .*?)"', row["prompt"])
            assert opening is not None
            world = "default" if row["is_default"] else "swapped"
            gold = row["gold"] == "yes"
            assert played(world, opening.group(1)) == is_legal_opening(opening.group(1), world) == gold, row["id"]
            counted += 1
    assert counted == 1600


@pytest.mark.parametrize("plies", [2, 4, 6])
def test_half_is_legal_and_each_opening_in_one_world_only(plies: int) -> None:
    pairs = [
        [CHESS.problem("test", index, difficulty=plies, world=world) for world in ("default", "swapped")]
        for index in range(70)
    ]
    for usual, swapped in pairs:
        assert usual.meta["item"] == swapped.meta["item"]
        assert {usual.answer, swapped.answer} == {"yes", "no"}
        opening = usual.meta["item"]
        assert len(written_moves(opening)) == plies
        assert played("default", opening) == (usual.answer == "yes")
        assert [CHESS.solve(usual), CHESS.solve(swapped)] == [usual.answer, swapped.answer]
    for world in (0, 1):
        assert sum(pair[world].answer == "yes" for pair in pairs) == 35


def test_the_breaking_move_is_spread_over_the_opening() -> None:
    faults = [CHESS.problem("test", index, difficulty=4).meta["fault"] for index in range(80)]
    assert all(8 <= faults.count(ply) <= 40 for ply in range(4))


@pytest.mark.parametrize("world", ["default", "swapped"])
def test_controls_ask_for_start_squares(world: str) -> None:
    controls = [CHESS.control("test", index, world=world) for index in range(12)]
    answers = {control.meta["item"]: control.answer for control in controls}
    assert answers["White bishops"] == ("c1 f1" if world == "default" else "b1 g1")
    assert answers["Black knights"] == ("b8 g8" if world == "default" else "c8 f8")
    assert answers["White rooks"] == "a1 h1"
    assert len(answers) == 6
    for control in controls:
        assert CHESS.solve(control) == control.answer
        first, second = control.answer.split()
        assert grade(control, Completion(key="k", text=f"So.\n#### {second}, {first}")).right
        assert not grade(control, Completion(key="k", text=f"#### {first}, d4")).right


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#### yes", "yes"),
        ("Every move is fine.\n#### Yes.", "yes"),
        ("moves#no", "no"),
        ("Hence the opening is illegal.", "no"),
        ("The answer is no.", "no"),
    ],
)
def test_answers_are_read(text: str, said: str) -> None:
    for index in range(2):
        problem = CHESS.problem("test", index, difficulty=4)
        assert grade(problem, Completion(key="k", text=text)).right == (said == problem.answer)
    verdict = grade(CHESS.problem("test", 0), Completion(key="k", text="#### perhaps")).verdict
    assert verdict is Verdict.UNPARSED


def test_wrong_arguments_are_named() -> None:
    assert CHESS.problem("test", 3, world="usual-start") == CHESS.problem("test", 3)
    with pytest.raises(ConfigError, match="no world 'mirrored'; allowed: default, swapped"):
        CHESS.problem("test", 0, world="mirrored")
    with pytest.raises(ConfigError, match="no difficulty 9; allowed: 2 to 8"):
        CHESS.problem("test", 0, difficulty=9)
    with pytest.raises(ConfigError, match="unknown split"):
        CHESS.problem("tset", 0)
