"""What README and docs say can be typed: every command's program exists and its flags parse; README's Python runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from afjax.avatar.shipped import shipped

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted(ROOT.glob("afjax/models/*/README.md"))
COMMAND = re.compile(
    r"python -m ((?:experiments|data_pipeline|afjax|docs|tests)\.\S+?)(?=[\s`)]|$)((?:\\\n|[^`\n\\])*)"
)

# In a process of its own: it goes through all commands and defines and forgets the flags of one after the other.
CHECK = """
import json, runpy, shlex, sys
from absl import flags
from afjax.errors import InputError
from data_pipeline import command
from experiments.cli import program

for page, module, rest in json.load(sys.stdin):
    arguments = shlex.split(rest.replace("...", "").replace("\\\\\\n", " "), comments=True)
    arguments = [a for a in arguments if a != "--help" and not a.startswith("$")]  # the shell's
    known, sys.argv = set(flags.FLAGS), [module, *arguments]
    try:
        try:
            found = runpy.run_module(module, run_name="read")
        except ModuleNotFoundError as error:
            if error.name.partition(".")[0] in ("aiortc", "livekit", "pipecat"):  # extras that `make setup` leaves out
                continue
            raise
        if "flags" in found:
            program.parse(sys.argv)
    except (InputError, ImportError, SystemExit, ValueError) as error:
        print(f"{page}: python -m {module} {' '.join(arguments)}: {error}")
    for name in set(flags.FLAGS) - known:
        delattr(flags.FLAGS, name)
    flags.FLAGS.unparse_flags()
"""


def commands() -> list[tuple[str, str, str]]:
    """(page, module, arguments) of every command."""
    return [(page.name, *found) for page in PAGES if page.exists() for found in COMMAND.findall(page.read_text())]


def run(*line, **more):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *line], capture_output=True, text=True, env=environment, timeout=600, **more)


def faults(lines) -> str:
    done = run("-c", CHECK, input=json.dumps(lines), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


WRONG = ("experiments.trein", "experiments.stream --portrat x", "experiments.train --config.model.widht=3")


@pytest.fixture(scope="module")
def said() -> list[str]:
    """Faults of the commands of the docs, and of WRONG as if pages `wrong0`, `wrong1`, ... had them: one process."""
    wrong = [(f"wrong{n}", *line.partition(" ")[::2]) for n, line in enumerate(WRONG)]
    return faults([*commands(), *wrong]).splitlines()


def test_every_command_of_the_docs_can_be_typed(said):
    found = commands()
    assert len(found) > 60 and {"experiments.train", "experiments.demo"} <= {module for _, module, _ in found}
    assert not (of_docs := [line for line in said if not line.startswith("wrong")]), "\n".join(of_docs)


@pytest.mark.parametrize("number", range(len(WRONG)), ids=WRONG)
def test_the_check_sees_faults(said, number):
    assert any(line.startswith(f"wrong{number}: python -m {WRONG[number]}") for line in said)


def missing(name: str) -> bool:
    """Whether a path, or a dotted name `package.module.thing`, is nowhere in the clone."""
    if "/" in name:
        return not (ROOT / name).exists()
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        module = ROOT.joinpath(*parts[:count])
        file = module.with_suffix(".py") if module.with_suffix(".py").is_file() else module / "__init__.py"
        if file.is_file():
            return count < len(parts) and not re.search(rf"\b{parts[count]}\b", file.read_text())
    return not ROOT.joinpath(*parts).is_dir()


def test_names_paths_and_pictures_of_the_docs_exist():
    named = re.compile(r"`((?:afjax|experiments|data_pipeline|tests|docs)[./][\w./]*[\w/])(?:[:(][^`]*)?`")
    imported = re.compile(r"^(?:from (\S+) )?import (\w+)", re.M)
    faults = []
    for page in PAGES:
        text = page.read_text()
        blocks = "".join(re.findall(r"```python\n(.*?)```", text, re.S))
        names = named.findall(text) + [f"{a}.{b}" for a, b in imported.findall(blocks) if a.startswith("afjax")]
        links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
        faults += [f"{page.name}: {name}" for name in names if "NAME" not in name and missing(name)]
        faults += [f"{page.name}: {link}" for link in links if not (page.parent / link).exists()]
    assert not faults, "nowhere to be found:\n" + "\n".join(faults)
    assert missing("afjax.nn.mask") and missing("docs/nowhere.md") and missing("afjax.nn.masks.alowed")
    assert not missing("afjax.nn.masks.allowed") and not missing("afjax/nn/masks.py")


@pytest.fixture(scope="module")
def files(tmp_path_factory, write_video):
    """A portrait, a video of it with a voice, and another voice."""
    soundfile, data = pytest.importorskip("soundfile"), pytest.importorskip("skimage.data")
    from PIL import Image

    folder, picture = tmp_path_factory.mktemp("files"), data.astronaut()[::2, ::2]
    Image.fromarray(picture).save(folder / "face.jpg")
    voice = (0.2 * np.sin(np.arange(48_000) * 0.05)).astype(np.float32)
    write_video(folder / "user.mp4", [np.roll(picture, n // 2, 1) for n in range(25)], sound=voice)
    soundfile.write(folder / "avatar.wav", voice, 48_000)
    return folder


def test_the_python_of_the_readme_runs(files, workdir):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert len(blocks) == 1 and len(blocks[0].strip().splitlines()) <= 14
    if "listener" not in shipped():
        (files / "listener").symlink_to(workdir)
    done = run("-c", blocks[0], cwd=files)
    assert done.returncode == 0, done.stderr
    assert (files / "talk.mp4").stat().st_size > 1000


def test_examples_stream_and_live_run(files, workdir):
    inputs = [str(files / name) for name in ("face.jpg", "user.mp4", "avatar.wav")]
    done = run("docs/examples/stream.py", str(workdir), *inputs, str(files / "example.mp4"), cwd=ROOT)
    assert done.returncode == 0 and done.stdout.startswith("25 frames, 25 with"), done.stderr
    done = run("docs/examples/live.py", str(workdir), "1.2", cwd=ROOT)
    assert done.returncode == 0 and done.stdout.startswith("30 frames shown"), done.stderr


def test_example_train_runs(tmp_path):
    pytest.importorskip("espeakng_loader")
    done = run("docs/examples/train.py", str(tmp_path / "run"), cwd=ROOT)
    assert done.returncode == 0 and "20 steps" in done.stdout, done.stderr
