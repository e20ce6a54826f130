"""Hashes of a checkpoint's files, in the form that `sha256sum -c SHA256SUMS` reads."""

from pathlib import Path

from afjax import digests

SUMS = "SHA256SUMS"


def write_sums(folder: Path):
    """Lists the files in the subfolders of `folder` with their hashes; files beside the subfolders are not listed."""
    lines = [f"{digests.of_file(path)}  {name}\n" for name, path in sorted(_files(folder).items())]
    (folder / SUMS).write_text("".join(lines))


def fault(folder: Path) -> str:
    """What is wrong with a folder that has been listed, in a few words; empty if nothing is."""
    try:
        lines = (folder / SUMS).read_text().splitlines()
        listed = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        if not listed:
            return f"{SUMS} is empty"
        for name, digest in sorted(listed.items()):  # other files, such as those of desktops, do no harm
            if not (folder / name).is_file():
                return f"{name} is missing"
            if digests.of_file(folder / name) != digest:
                return f"{name} has changed"
        return ""
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError) as error:
        return f"{SUMS} can't be read ({error})"


def _files(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in folder.glob("*/**/*") if path.is_file()}
