"""What the bytes of a text file say, whatever program wrote it."""

from __future__ import annotations


def decoded(content: bytes) -> str:
    """Text in UTF-8, with or without its mark, or else Latin-1."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def decoded_export(content: bytes) -> str:
    """The same, or UTF-16 with its mark, as Windows' programs of instruments write it."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError:  # cut off within a sign
            pass
    return decoded(content)
