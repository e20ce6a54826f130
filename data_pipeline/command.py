"""The frame of every command: flags in, one line and exit code 2 for a user's mistake.

Exit codes: 0 done, 2 a user's mistake (one line on stderr), 129 hung up, 130 interrupted, 143 terminated; anything else
is a defect and keeps its traceback. Binaries define their flags only when they are the program, so that all can be
imported together.
"""

import difflib
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from absl import app, flags, logging

from afjax.errors import InputError, InputWarning, disk_error

__all__ = ["fail", "one_line", "parse", "run", "said"]

_SAID: list[str] = []


def said() -> list[str]:
    """Decisions made for the user so far (InputWarning), each once, for a program's summary."""
    return list(_SAID)


def parse(argv: Sequence[str]) -> list[str]:
    """absl's parser with every mistake as an InputError of one line."""
    try:
        rest = flags.FLAGS(argv)
    except flags.UnrecognizedFlagError as error:
        raise InputError(f"unknown flag --{error.flagname}", do=_nearest(error.flagname, _names())) from None
    except flags.Error as error:
        raise InputError(one_line(error), do="--help lists the flags") from None
    if rest[1:]:
        raise InputError(f"unexpected argument {rest[1]!r}", do="every argument is a flag: --name=value")
    return rest


def run(main: Callable[[], Any], parse: Callable[[Sequence[str]], list[str]] = parse):
    """Parses the flags, calls `main()` and exits with the code of the module's docstring."""
    logging.set_verbosity(logging.WARNING)
    for stream in (sys.stdout, sys.stderr):  # file names may hold characters that the terminal lacks
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    for sign in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sign) is not signal.SIG_IGN:  # nohup
            signal.signal(sign, _end)
    _say_warnings()
    try:
        app.run(lambda _: _main(main), flags_parser=parse)
    except InputError as error:
        fail(error)


def _end(number: int, _frame: Any) -> NoReturn:
    sys.exit(128 + number)  # an exception, so that unfinished files are removed


def _main(main: Callable[[], Any]):
    try:
        try:
            main()
        finally:
            for sentence in _SAID:
                print(f"warning: {sentence}")
    except InputError as error:
        fail(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        told = disk_error(error)
        if told is error:
            raise
        fail(told)
    sys.stdout.flush()


def fail(error: InputError) -> NoReturn:
    """Ends the program with one line on stderr and code 2."""
    sys.stdout.flush()
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


def _say_warnings():
    """Shows each InputWarning as a line at the end of the program's output; other warnings are unchanged."""
    show = warnings.showwarning

    def say(message, category, *where, **more):
        if issubclass(category, InputWarning):
            _SAID[:] = dict.fromkeys([*_SAID, str(message)])
        else:
            show(message, category, *where, **more)

    warnings.showwarning = say
    warnings.simplefilter("always", InputWarning)


def _names() -> list[str]:
    """Flags of the program itself, without those that absl and its guests define."""
    ours = flags.FLAGS.flags_by_module_dict()
    return [flag.name for module, found in ours.items() if not module.startswith(("absl", "grain")) for flag in found]


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean --{close[0]}?" if close else "--help lists the flags"


def one_line(error: Exception) -> str:
    """An error's text on one line, without the quotes and escapes of a nested KeyError."""
    while error.args and isinstance(error.args[0], Exception):
        error = error.args[0]
    text = str(error.args[0]) if error.args and isinstance(error, KeyError) else str(error)
    return re.sub(r"\s+", " ", text).strip()
