"""`afjax PROGRAM --flags`: the programs of experiments/, and `build` and the importers `sets.NAME` of data_pipeline/.

    afjax stream --workdir RUN --portrait face.jpg --user_video user.mp4 --avatar_audio avatar.wav --out talk.mp4

is `python -m experiments.stream ...` in a clone. An installed package holds the programs inside itself, so that it puts
one name only into an environment.
"""

import ast
import difflib
import os
import runpy
import sys
from pathlib import Path

OTHERS = {"build": "data_pipeline.build"}
SETS = ("candor", "dualtalk", "iemocap", "realtalk", "seamless", "udiva", "vico")
CONFIGS = "experiments/configs/"


def main():
    folder, names = _programs()
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help", "help"):
        print(__doc__.splitlines()[0], *(f"  {name:20} {said}" for name, (_, said) in names.items()), sep="\n")
        return
    name = sys.argv.pop(1)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        print(f"error: no program {name!r}; {f'did you mean {near[0]}?' if near else 'afjax --help'}", file=sys.stderr)
        sys.exit(2)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
        # for processes that a program starts
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    sys.argv = [_found(argument, folder) for argument in sys.argv]
    runpy.run_module(names[name][0], run_name="__main__", alter_sys=True)


def _programs() -> tuple[Path, dict[str, tuple[str, str]]]:
    """The folder of experiments/ and data_pipeline/, and each program's module and what it does, by name."""
    own = Path(__file__).resolve().parent
    folder = own / "programs" if (own / "programs").is_dir() else own.parent
    modules = {file.stem: f"experiments.{file.stem}" for file in sorted(folder.glob("experiments/[!_]*.py"))} | OTHERS
    modules |= {f"sets.{name}": f"data_pipeline.sets.{name}" for name in SETS}
    return folder, {name: (module, _said(folder, module)) for name, module in modules.items()}


def _found(argument: str, folder: Path) -> str:
    """The argument; where its value names a configuration as in a clone, with the package's folder before it."""
    flag, equals, value = argument.rpartition("=")
    name = value.partition(":")[0]  # file:variant
    there = value.startswith(CONFIGS) and not Path(name).is_file()
    return f"{flag}{equals}{folder}/{value}" if there else argument


def _said(folder: Path, module: str) -> str:
    """First line of a module's docstring."""
    tree = ast.parse((folder / f"{module.replace('.', '/')}.py").read_text())
    return (ast.get_docstring(tree) or "").partition("\n")[0]


if __name__ == "__main__":
    main()
