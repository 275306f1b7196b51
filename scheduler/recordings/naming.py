"""How the vendor names files: what should be in the bucket, by rule. Pure.

Docs-Source `cloud-recording/develop/manage-files.md`: composite and web recordings have one index,
individual ones one for each user and track, each fail-over begins files with `bak<n>_`. Only an
expectation: what the vendor named is in `fileList`.
"""

import re

from scheduler.recordings.session import Session

_SPECIAL = re.compile(r"[!@#$%^&*()+_.=\[\]{}~|,;:?<> ]")
"""Characters of a channel's name that are `-` in names of files."""


def expected_files(session: Session) -> tuple[str, ...]:
    """Names that should be in the bucket; `*` stands for what is not known.

    Empty where the mode or the channel is not known.
    """
    if not session.mode or not session.cname:
        return ()
    folder = "".join(f"{part}/" for part in session.file_name_prefix)
    backups = ("", *(f"bak{n}_" for n in range(session.fail_overs)))
    return tuple(folder + backup + name for backup in backups for name in _names(session))


def _names(session: Session) -> tuple[str, ...]:
    stem = f"{session.sid}_{_SPECIAL.sub('-', session.cname)}"
    if session.mode == "individual":
        return tuple(f"{stem}__uid_s_*__uid_e_{kind}.m3u8" for kind in ("audio", "video"))
    names = (f"{stem}.m3u8",)
    return (*names, f"{stem}_0.mp4") if "mp4" in session.av_file_type else names
