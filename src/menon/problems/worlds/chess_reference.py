"""A second reading of an opening's legality: geometry on a board of named squares, one question per move.

It shares no code with `chess_rules`: nothing is generated, each written move is looked up by asking which piece could
make it. Left out: promotion, which no opening of eight half-moves reaches with a pawn that stays on legal squares.
"""

import re

Board = dict[str, str]  # square name -> FEN letter; empty squares are missing

_SAN = re.compile(r"(?P<kind>[KQRBN]?)(?P<file>[a-h]?)(?P<rank>[1-8]?)x?(?P<end>[a-h][1-8])[+#]?")
_BACK_RANKS = {"default": "RNBQKBNR", "swapped": "RBNQKNBR"}


def written_moves(opening: str) -> list[str]:
    """Return the moves of an opening as "1. e4 e5 2. Nf3" without their numbers."""
    return [word for word in re.sub(r"[0-9]+\.", " ", opening).split() if word]


def is_legal_opening(opening: str, world: str) -> bool:
    """Tell whether every move is legal and names one piece, from the start position of `world`."""
    board = _start(world)
    moved: set[str] = set()  # squares that something left or came to, for castling
    passant = ""
    for ply, san in enumerate(written_moves(opening)):
        white = ply % 2 == 0
        if san.startswith("O-O"):
            if not _castle(board, san, white, moved):
                return False
            passant = ""
            continue
        move = _find(board, san, white, passant)
        if move is None:
            return False
        start, end = move
        pawn = board[start].upper() == "P"
        board = _after(board, start, end, passant)
        moved |= {start, end}
        passant = f"{start[0]}{(int(start[1]) + int(end[1])) // 2}" if pawn and _away(start, end)[1] in (2, -2) else ""
    return True


def _start(world: str) -> Board:
    back = dict(zip("abcdefgh", _BACK_RANKS[world], strict=True))
    board = {f"{file}1": kind for file, kind in back.items()} | {f"{file}8": back[file].lower() for file in back}
    return board | {f"{file}2": "P" for file in back} | {f"{file}7": "p" for file in back}


def _find(board: Board, san: str, white: bool, passant: str) -> tuple[str, str] | None:
    match = _SAN.fullmatch(san)
    if match is None:
        return None
    wanted = (match["kind"] or "P") if white else (match["kind"] or "P").lower()
    end = match["end"]
    if end in board and board[end].isupper() == white:
        return None
    found = [
        start
        for start, piece in board.items()
        if piece == wanted
        and start[0] == (match["file"] or start[0])
        and start[1] == (match["rank"] or start[1])
        and reaches(board, start, end, passant)
        and not _king_hit(_after(board, start, end, passant), white)
    ]
    return (found[0], end) if len(found) == 1 else None


def reaches(board: Board, start: str, end: str, passant: str = "") -> bool:
    """Tell whether the piece on `start` can go to `end`, apart from its own king's safety and castling."""
    piece, (across, up) = board[start], _away(start, end)
    wide, high = abs(across), abs(up)
    match piece.upper():
        case "N":
            return {wide, high} == {1, 2}
        case "K":
            return max(wide, high) == 1
        case "B":
            return wide == high > 0 and _clear(board, start, end)
        case "R":
            return (wide == 0) != (high == 0) and _clear(board, start, end)
        case "Q":
            return (wide == high > 0 or (wide == 0) != (high == 0)) and _clear(board, start, end)
    forward, home = (1, "2") if piece == "P" else (-1, "7")
    if wide == 1:
        return up == forward and (end in board or end == passant)
    double = start[1] == home and up == 2 * forward and _clear(board, start, end)
    return wide == 0 and end not in board and (up == forward or double)


def _away(start: str, end: str) -> tuple[int, int]:
    return ord(end[0]) - ord(start[0]), int(end[1]) - int(start[1])


def _clear(board: Board, start: str, end: str) -> bool:
    across, up = _away(start, end)
    length = max(abs(across), abs(up))
    return not any(
        f"{chr(ord(start[0]) + across * n // length)}{int(start[1]) + up * n // length}" in board
        for n in range(1, length)
    )


def _after(board: Board, start: str, end: str, passant: str) -> Board:
    after = {square: piece for square, piece in board.items() if square != start}
    if board[start].upper() == "P" and end == passant and end not in board:
        after.pop(f"{end[0]}{start[1]}", None)
    after[end] = board[start]
    return after


def _hit(board: Board, square: str, by_white: bool) -> bool:
    """Tell whether `by_white` could take something standing on `square`."""
    occupied = board if square in board else board | {square: "p" if by_white else "P"}
    return any(reaches(occupied, start, square) for start, piece in board.items() if piece.isupper() == by_white)


def _king_hit(board: Board, white: bool) -> bool:
    king = next(square for square, piece in board.items() if piece == ("K" if white else "k"))
    return _hit(board, king, not white)


def _castle(board: Board, san: str, white: bool, moved: set[str]) -> bool:
    """Castle on `board` in place; False, and nothing done, when it is not allowed."""
    row = "1" if white else "8"
    rook, path, beyond = ("a", "edc", "b") if san.startswith("O-O-O") else ("h", "efg", "")
    if {f"e{row}", f"{rook}{row}"} & moved or any(f"{file}{row}" in board for file in path[1:] + beyond):
        return False
    if any(_hit(board, f"{file}{row}", not white) for file in path):
        return False
    board[f"{path[2]}{row}"], board[f"{path[1]}{row}"] = board.pop(f"e{row}"), board.pop(f"{rook}{row}")
    return True
