"""Reading a small text file that an operator named: bounded, with reasons to act on."""

from pathlib import Path


def read_text(path: str, *, limit: int) -> str:
    """The text of a file of at most `limit` bytes, in UTF-8.

    Raises:
        ValueError: why not, in words that name neither the path nor anything of the content.
    """
    try:
        with Path(path).open("rb") as file:
            # One byte more than allowed tells too much from enough; a device has no size to ask for
            content = file.read(limit + 1)
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except PermissionError:
        raise ValueError("this user may not read the file") from None
    except IsADirectoryError:
        raise ValueError("it is a directory, not a file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise ValueError(f"the file cannot be read: {reason}") from None
    if len(content) > limit:
        raise ValueError(f"the file is larger than {limit // 1024} KiB")
    try:
        # Some editors begin a file with a byte order mark
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"the file is not UTF-8 at byte {error.start}") from None
