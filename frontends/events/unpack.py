"""LZ4 and Zstandard frames unpacked piece by piece, up to a limit."""

from __future__ import annotations

from collections.abc import Iterator

from ...toolchain.ground.errors import MissingPartError

_PIECE = 1 << 20


class TooLarge(ValueError):
    """More than the limit comes out."""


def lz4(content: bytes, limit: int) -> bytes:
    """What an LZ4 frame holds. Raises ValueError if damaged, TooLarge; SFX-E147 without lz4."""
    return _joined(_lz4(content), limit)


def zstd(content: bytes, limit: int) -> bytes:
    """What a Zstandard frame holds. Raises ValueError if damaged, TooLarge; SFX-E147 without it."""
    return _joined(_zstd(content), limit)


def _joined(pieces: Iterator[bytes], limit: int) -> bytes:
    found = bytearray()
    for piece in pieces:
        found += piece
        if len(found) > limit:
            raise TooLarge(f"unpacks to more than {limit} bytes")
    return bytes(found)


def _lz4(content: bytes) -> Iterator[bytes]:
    try:
        from lz4.frame import LZ4FrameDecompressor
    except ImportError as error:
        raise _missing("LZ4", "lz4") from error
    stream = LZ4FrameDecompressor()
    try:
        yield stream.decompress(content, max_length=_PIECE)
        while not stream.eof:
            piece = stream.decompress(b"", max_length=_PIECE)
            if not piece and stream.needs_input:
                raise ValueError("ends inside an LZ4 frame")
            yield piece
    except (RuntimeError, EOFError) as error:
        raise ValueError(str(error)) from error


_WINDOW = 1 << 27
"""Bytes of the largest window: those of Zstandard's own command line."""


def _zstd(content: bytes) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError as error:
        raise _missing("Zstandard", "zstandard") from error
    stream = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(content)
    try:
        while piece := stream.read(_PIECE):
            yield piece
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error


def _missing(what: str, package: str) -> MissingPartError:
    return MissingPartError(
        "SFX-E147",
        f"the recording is packed with {what}, and {package} is not installed",
        hint="pip install 'lz4>=4.3' 'zstandard>=0.22', which are the extra `events`",
    )
