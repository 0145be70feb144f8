"""How long a media file says it is: to a decoder, a clip that was cut off is just a short one."""

from __future__ import annotations

from datasets_vc.digest import Buffer

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND"
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def missing_bytes(data: Buffer) -> int:
    """Bytes that a file lacks at its end by its own account; 0 if none, or if it gives none.

    Knows Matroska and WebM (RFC 8794, RFC 9559), AVI and WebP (RIFF), MP4 and QuickTime (ISO/IEC
    14496-12), and PNG (ISO/IEC 15948).
    """
    view = memoryview(data)
    start = bytes(view[:8])
    if start[:4] == _EBML:
        end = _matroska_end(view)
    elif start[:4] == b"RIFF":
        end = 8 + int.from_bytes(start[4:], "little")
    elif start[4:] in _BOXES:
        end = _boxes_end(view)
    elif start == _PNG:
        end = _png_end(view)
    else:
        end = 0
    return max(0, end - len(view))


def _matroska_end(view: memoryview) -> int:
    place, header = _element_size(view, 4)
    segment = place + (header or 0)
    if bytes(view[segment : segment + 4]) != _SEGMENT:
        return 0
    place, size = _element_size(view, segment + 4)
    # Streams are written without a size.
    return 0 if size is None else place + size


def _element_size(view: memoryview, place: int) -> tuple[int, int | None]:
    """Where an EBML element's body begins and how long it is: None if that is left open."""
    if place >= len(view) or not view[place]:
        return place, None
    # The number of leading zeros of the first byte is that of the bytes that follow.
    length = 9 - view[place].bit_length()
    marked = int.from_bytes(view[place : place + length], "big")
    ones = (1 << 7 * length) - 1
    size = marked & ones
    return place + length, None if size == ones else size


def _boxes_end(view: memoryview) -> int:
    place = 0
    while place + 8 <= len(view):
        size = int.from_bytes(view[place : place + 4], "big")
        if size == 1:
            size = int.from_bytes(view[place + 8 : place + 16], "big")
        if size < 8:
            # 0: up to the end of the file. Anything else is no box.
            return len(view)
        place += size
    return place


def _png_end(view: memoryview) -> int:
    place = len(_PNG)
    kind = b""
    while kind != _PNG_END and place < len(view):
        size = int.from_bytes(view[place : place + 4], "big")
        kind = bytes(view[place + 4 : place + 8])
        # Size, kind, content, checksum.
        place += 12 + size
    return place if kind == _PNG_END or place > len(view) else place + 12
