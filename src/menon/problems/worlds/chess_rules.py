"""The rules of chess as far as an opening needs them: positions, legal moves, and moves in algebraic notation.

Squares are 0..63 from a1, b1, ... to h8; pieces are FEN letters, "." is an empty square. Everything that makes a move
legal is here (pins, checks, castling, en passant, promotion). Left out: draws and the end of the game.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property

from menon.core.errors import DataError

START_RANKS = {"default": "rnbqkbnr", "swapped": "rbnqknbr"}

_STEPS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))  # straight ones first
_JUMPS = ((1, 2), (2, 1), (-1, 2), (-2, 1), (1, -2), (2, -1), (-1, -2), (-2, -1))
_ROOKS = {0: "Q", 7: "K", 56: "q", 63: "k"}
_SAN = re.compile(r"([KQRBN])?([a-h])?([1-8])?(x)?([a-h][1-8])(?:=?([QRBN]))?[+#]?")


def _leaps(offsets: tuple[tuple[int, int], ...]) -> list[tuple[int, ...]]:
    return [
        tuple(8 * (r + dr) + f + df for df, dr in offsets if 0 <= f + df < 8 and 0 <= r + dr < 8)
        for r in range(8)
        for f in range(8)
    ]


def _ray(square: int, step: tuple[int, int]) -> tuple[int, ...]:
    (df, dr), f, r = step, square % 8, square // 8
    reach = range(1, 8)
    return tuple(8 * (r + n * dr) + f + n * df for n in reach if 0 <= f + n * df < 8 and 0 <= r + n * dr < 8)


_KING, _KNIGHT = _leaps(_STEPS), _leaps(_JUMPS)
_RAYS = [tuple(_ray(square, step) for step in _STEPS) for square in range(64)]
_PAWN_TAKES = {True: _leaps(((-1, 1), (1, 1))), False: _leaps(((-1, -1), (1, -1)))}


@dataclass(frozen=True, slots=True, order=True)
class Move:
    """A move from square to square; `promotion` is the new piece's letter in lower case."""

    start: int
    end: int
    promotion: str = ""


@dataclass(frozen=True)
class Position:
    """A board with the side to move, the castling rights (as in FEN) and the square behind a pawn's double step."""

    board: tuple[str, ...]
    white: bool = True
    castling: str = "KQkq"
    passant: int | None = None

    @cached_property
    def moves(self) -> tuple[Move, ...]:
        """The legal moves."""
        return tuple(move for move in self._pseudo_moves() if not self._leaves_king(move))

    def play(self, move: Move) -> "Position":
        """Return the position after a legal move."""
        piece = self.board[move.start]
        pawn = piece in "Pp"
        double = pawn and abs(move.end - move.start) == 16
        castling = self.castling
        if castling:
            lost = {_ROOKS.get(move.start), _ROOKS.get(move.end)} | ({"K": set("KQ"), "k": set("kq")}.get(piece, set()))
            castling = "".join(right for right in castling if right not in lost)
        return Position(
            board=tuple(self._moved(move)),
            white=not self.white,
            castling=castling,
            passant=(move.start + move.end) // 2 if double else None,
        )

    def in_check(self) -> bool:
        return attacked(self.board, self.board.index("K" if self.white else "k"), not self.white)

    def _moved(self, move: Move) -> list[str]:
        board = list(self.board)
        piece = board[move.start]
        board[move.start] = "."
        if piece in "Pp" and move.end == self.passant:
            board[move.end - 8 if self.white else move.end + 8] = "."
        if move.promotion:
            piece = move.promotion.upper() if self.white else move.promotion
        board[move.end] = piece
        if piece in "Kk" and abs(move.end - move.start) == 2:
            rook, beside = (move.end + 1, move.end - 1) if move.end > move.start else (move.end - 2, move.end + 1)
            board[beside], board[rook] = board[rook], "."
        return board

    def _leaves_king(self, move: Move) -> bool:
        board = self._moved(move)
        return attacked(board, board.index("K" if self.white else "k"), not self.white)

    def _pseudo_moves(self) -> Iterator[Move]:
        for square, piece in enumerate(self.board):
            if piece == "." or piece.isupper() != self.white:
                continue
            kind = piece.lower()
            if kind == "p":
                yield from self._pawn_moves(square)
            elif kind in "kn":
                for end in (_KING if kind == "k" else _KNIGHT)[square]:
                    if not self._own(end):
                        yield Move(square, end)
            else:
                for ray in _RAYS[square][0 if kind != "b" else 4 : 4 if kind == "r" else 8]:
                    yield from self._slides(square, ray)
        yield from self._castles()

    def _own(self, square: int) -> bool:
        piece = self.board[square]
        return piece != "." and piece.isupper() == self.white

    def _slides(self, square: int, ray: tuple[int, ...]) -> Iterator[Move]:
        for end in ray:
            if self._own(end):
                return
            yield Move(square, end)
            if self.board[end] != ".":
                return

    def _pawn_moves(self, square: int) -> Iterator[Move]:
        ahead = 8 if self.white else -8
        ends = []
        if self.board[square + ahead] == ".":
            ends.append(square + ahead)
            if square // 8 == (1 if self.white else 6) and self.board[square + 2 * ahead] == ".":
                ends.append(square + 2 * ahead)
        for end in _PAWN_TAKES[self.white][square]:
            if end == self.passant or (self.board[end] != "." and not self._own(end)):
                ends.append(end)
        for end in ends:
            for promotion in "qrbn" if end // 8 in (0, 7) else ("",):
                yield Move(square, end, promotion)

    def _castles(self) -> Iterator[Move]:
        king = 4 if self.white else 60
        for right, between, path in (("K", (1, 2), (0, 1, 2)), ("Q", (-1, -2, -3), (0, -1, -2))):
            if (right if self.white else right.lower()) not in self.castling:
                continue
            free = all(self.board[king + step] == "." for step in between)
            if free and not any(attacked(self.board, king + step, not self.white) for step in path):
                yield Move(king, king + path[-1])


def attacked(board: tuple[str, ...] | list[str], square: int, white: bool) -> bool:
    """Tell whether a piece of the side `white` attacks `square`."""
    king, queen, rook, bishop, knight, pawn = "KQRBNP" if white else "kqrbnp"
    for number, ray in enumerate(_RAYS[square]):
        slider = rook if number < 4 else bishop
        for start in ray:
            piece = board[start]
            if piece != ".":
                if piece in (slider, queen):
                    return True
                break
    return (
        any(board[start] == knight for start in _KNIGHT[square])
        or any(board[start] == pawn for start in _PAWN_TAKES[not white][square])
        or any(board[start] == king for start in _KING[square])
    )


def position_of(fen: str) -> Position:
    """Read a position from FEN; move counters may be missing.

    Raises:
        DataError: the board does not have 8 ranks of 8 squares, or a field is missing.
    """
    placement, *fields = fen.split()
    ranks = [re.sub(r"[1-8]", lambda run: "." * int(run.group()), rank) for rank in placement.split("/")]
    if [len(rank) for rank in ranks] != [8] * 8 or len(fields) < 3:
        raise DataError(f"not a position in FEN: {fen!r}; wanted: 8 ranks of 8 squares, side, castling, en passant")
    side, castling, passant = fields[:3]
    return Position(
        board=tuple("".join(reversed(ranks))),
        white=side == "w",
        castling=castling.replace("-", ""),
        passant=None if passant == "-" else square_of(passant),
    )


@cache
def start_position(world: str) -> Position:
    """Return the start position of a world; "swapped" has each knight and the bishop beside it exchanged."""
    rank = START_RANKS[world]
    return position_of(f"{rank}/pppppppp/8/8/8/8/PPPPPPPP/{rank.upper()} w KQkq -")


def square_of(name: str) -> int:
    return "abcdefgh".index(name[0]) + 8 * (int(name[1]) - 1)


def square_name(square: int) -> str:
    return f"{'abcdefgh'[square % 8]}{square // 8 + 1}"


def moves_named(position: Position, san: str) -> list[Move]:
    """Return the legal moves that `san` can mean: none when it is illegal or unreadable, several when ambiguous.

    Marks of capture, check and mate are not checked.
    """
    if san.rstrip("+#") in ("O-O", "O-O-O", "0-0", "0-0-0"):
        step = 2 if san.rstrip("+#") in ("O-O", "0-0") else -2
        kings = [m for m in position.moves if position.board[m.start] in "Kk" and m.end - m.start == step]
        return [move for move in kings if move.start in (4, 60)]
    if (match := _SAN.fullmatch(san)) is None:
        return []
    piece, file, rank, _, end, promotion = match.groups()
    return [
        move
        for move in position.moves
        if position.board[move.start].upper() == (piece or "P")
        and move.end == square_of(end)
        and (not file or square_name(move.start)[0] == file)
        and (not rank or square_name(move.start)[1] == rank)
        and move.promotion == (promotion or "").lower()
        and not (piece == "K" and abs(move.end - move.start) == 2)
    ]


def san_of(position: Position, move: Move) -> str:
    """Write a legal move in algebraic notation, as short as it can be without being ambiguous."""
    after = position.play(move)
    check = ("+" if after.moves else "#") if after.in_check() else ""
    piece, start, end = position.board[move.start].upper(), square_name(move.start), square_name(move.end)
    if piece == "K" and abs(move.end - move.start) == 2:
        return ("O-O" if move.end > move.start else "O-O-O") + check
    takes = "x" if position.board[move.end] != "." or (piece == "P" and start[0] != end[0]) else ""
    if piece == "P":
        promotion = f"={move.promotion.upper()}" if move.promotion else ""
        return f"{start[0] if takes else ''}{takes}{end}{promotion}{check}"
    for mark in ("", start[0], start[1], start):
        if moves_named(position, f"{piece}{mark}{end}") == [move]:
            return f"{piece}{mark}{takes}{end}{check}"
    raise AssertionError("the start square tells every move from the others")
