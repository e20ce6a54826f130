"""The steps from recordings to the paper's tables: models that are trained, tuned, rendered and measured.

    recordings --- codec --- records --- features --+-- talking_only ----------- losing samples --+
                       of the model's blocks        +-- infp                                      |
                                                    +-- voice      (the user is heard, not seen)  |
                                                    +-- plain ------------------------------------+-- tuned
                                                    +-- plain_5, plain_25  (frames of a block) ---+-- tuned_5, tuned_25

Every model is measured on the held-out conversations (`dyadic`), and on talking heads (`hdtf`) and listening heads
(`vico`) where there are recordings of them. Hours are estimates for one H100: half of FLOAT's nine days on an A100 for
the codec, 2,000,000 steps of 6 ms for a generator; those of losing samples and of rendering are guesses.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from experiments.reproduction.steps import Step

__all__ = ["Settings", "plan"]

CONFIGS = "experiments/configs"
BLOCKS = {"talking_only": 50, "infp": 75, "voice": 10, "plain": 10, "plain_5": 5, "plain_25": 25}
"""Trained models and the frames of their blocks; each hears what a stream in blocks of that length hears."""
TUNED = {"tuned": "plain", "tuned_5": "plain_5", "tuned_25": "plain_25"}
MEASURED = {
    1: ("talking_only", "infp", "tuned"),
    2: ("infp", "tuned"),
    3: ("talking_only", "infp", "tuned"),
    4: ("infp", "tuned"),
    5: ("voice", "plain", "tuned"),
    6: ("voice", "plain", "tuned"),
    7: ("tuned_5", "tuned", "tuned_25"),
}
"""Models of each table."""
PROTOCOL = {3: "hdtf", 4: "vico"}
"""Protocols of tables that are not of the dyadic recordings."""
TIMED = (1, 7)
"""Tables with a column of latency."""
TIMES = "experiments.benchmark"
GENERATOR, CODEC, TUNING, RENDERING = 3.5, 108.0, 0.1, 0.5


@dataclass(frozen=True)
class Settings:
    """Inputs and output folder of the reproduction.

    Attributes:
      data: folder with `faces/train` and `faces/eval` (videos for the codec), `pairs.csv` (conversations) and, if they
        are there, `hdtf/` and `vico/listener`, `vico/talker` (videos).
      networks: folder of the metrics' networks (docs/metrics.md), with `weights/` of wav2vec2 and `vgg16.ckpt`.
      tracks: folder of tracks of SPECTRE or EMOCA, one folder per model; empty: none.
      out: folder of all that is made.
      sizes: flags that make codec and generators small; empty: the paper's.
      seconds: length of a record.
      environment: variables of every step but the timed ones.
    """

    data: Path
    networks: Path
    out: Path
    tracks: str = ""
    codec_sizes: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    tuning: tuple[str, ...] = ()
    seconds: float = 20.0
    environment: tuple[tuple[str, str], ...] = ()


def plan(tables: tuple[int, ...], given: Settings) -> list[Step]:
    """The steps that the tables need, each after those that it needs."""
    needed = {model for table in tables for model in MEASURED[table]}
    trained = {TUNED.get(model, model) for model in needed}
    if needed & set(TUNED):
        trained.add("talking_only")
    blocks = dict.fromkeys(block for model, block in BLOCKS.items() if model in trained)
    steps = [*_prepared(given), *(_features(block, given) for block in blocks)]
    steps += [_trained(model, given) for model in BLOCKS if model in trained]
    if needed & set(TUNED):
        steps.append(_losing(given))
    steps += [_tuned(model, given) for model in TUNED if model in needed]
    if 1 in tables:
        steps.append(_exported(given))
    for protocol in ("dyadic", *PROTOCOL.values()):
        models = [m for t in tables if PROTOCOL.get(t, "dyadic") == protocol for m in MEASURED[t]]
        if protocol == "dyadic" or (given.data / protocol).is_dir():
            steps += [_measured(model, protocol, given) for model in dict.fromkeys(models)]
    for model in dict.fromkeys(m for t in tables if t in TIMED for m in MEASURED[t]):
        steps.append(_timed(model, given))
    if 2 in tables:
        steps += _study(given)
    return [step if step.module == TIMES else replace(step, environment=given.environment) for step in steps]


def _run(given: Settings, model: str) -> str:
    return str(given.out / "models" / model)


def _prepared(given: Settings) -> list[Step]:
    out, codec = given.out, given.codec_sizes or (
        f"--config={CONFIGS}/autoencoder.py", f"--config.loss.vgg={given.networks / 'vgg16.ckpt'}"
    )  # fmt: skip
    pictures = f"--config.pictures.videos={given.data / 'faces'}"
    pairs = (f"--pairs={given.data / 'pairs.csv'}", f"--latent={out / 'codec'}", f"--seconds={given.seconds:g}")
    return [
        Step(
            "codec", "experiments.train_autoencoder", (*codec, pictures, f"--workdir={out / 'codec'}"), (), CODEC
        ),
        Step("records", "data_pipeline.build", (*pairs, f"--out={out / 'records'}"), ("codec",)),
    ]  # fmt: skip


def _features(block: int, given: Settings) -> Step:
    arguments = (f"--data={given.out / 'records'}", f"--weights={given.networks / 'weights'}", f"--block={block}")
    out = f"--out={given.out / 'data' / str(block)}"
    return Step(f"features_{block}", "experiments.make_features", (*arguments, out), ("records",))


def _data(model: str, given: Settings) -> Path:
    return given.out / "data" / str(BLOCKS[TUNED.get(model, model)])


def _trained(model: str, given: Settings) -> Step:
    configs = {"talking_only": "talking_only.py:paper", "infp": "infp.py:paper", "voice": "paper.py:voice"}
    arguments = (f"--config={CONFIGS}/{configs.get(model, 'paper.py')}", *_common(model, given), *_block(model))
    arguments += (*given.sizes, f"--workdir={_run(given, model)}")
    return Step(model, "experiments.train", arguments, (f"features_{BLOCKS[model]}",), GENERATOR)


def _common(model: str, given: Settings) -> tuple[str, ...]:
    weights = given.networks / "weights"
    return (
        f"--config.data.path={_data(model, given)}", f"--config.data.codec={given.out / 'codec'}",
        f"--config.data.features={weights}",
    )  # fmt: skip


def _block(model: str) -> tuple[str, ...]:
    """Flags of a model's block. The window of 50 frames stays: its part that is not noisy is the cache."""
    block = BLOCKS[TUNED.get(model, model)]
    return () if block not in (5, 25) else (f"--config.layout.block={block}", f"--config.layout.cache={48 - block}")


def _losing(given: Settings) -> Step:
    arguments = (f"--workdir={_run(given, 'talking_only')}", f"--data={_data('talking_only', given)}")
    return Step(
        "losing", "experiments.make_preferences", (*arguments, f"--out={given.out / 'losing'}"), ("talking_only",), 2.0
    )


def _tuned(model: str, given: Settings) -> Step:
    arguments = (f"--config={CONFIGS}/dpo.py:full", *_common(model, given), *_block(model))
    arguments += (*given.sizes, *given.tuning)
    arguments += (
        f"--config.preference.model={_run(given, TUNED[model])}", f"--config.preference.path={given.out / 'losing'}",
        f"--workdir={_run(given, model)}",
    )  # fmt: skip
    return Step(model, "experiments.train", arguments, (TUNED[model], "losing"), TUNING)


def _measured(model: str, protocol: str, given: Settings) -> Step:
    data = given.data
    if protocol == "dyadic":
        sources = (f"--data={_data(model, given)}", f"--recordings={data / 'pairs.csv'}")
    elif protocol == "hdtf":
        sources = ("--protocol=hdtf", f"--recorded_video={data / 'hdtf'}")
    else:
        sources = (
            "--protocol=vico", f"--recorded_video={data / 'vico' / 'listener'}",
            f"--user_video={data / 'vico' / 'talker'}",
        )  # fmt: skip
    arguments = (f"--workdir={_run(given, model)}", *sources, f"--networks={given.networks}")
    arguments += (f"--features={given.out / 'features'}",)  # all models are measured on the same recordings
    if given.tracks:
        arguments += (f"--tracks={Path(given.tracks) / protocol / model}",)
    name = f"{protocol}_{model}"
    return Step(
        name, "experiments.evaluate", (*arguments, f"--out={given.out / 'measured' / name}"), (model,), RENDERING
    )


def _timed(model: str, given: Settings) -> Step:
    arguments = ("--step", f"--workdir={_run(given, model)}", f"--out={given.out / 'timed' / model}")
    return Step(f"timed_{model}", TIMES, arguments, (model,))


def _exported(given: Settings) -> Step:
    """Exports the model for a product: the last one of the paper's first table."""
    arguments = (f"--workdir={_run(given, 'tuned')}", f"--out={given.out / 'bundle'}", "--sessions=1")
    return Step("bundle", "experiments.export_stream", arguments, ("tuned",))


def _study(given: Settings) -> list[Step]:
    """Makes the page for people, and counts their answers where there are any."""
    ours, theirs = (given.out / "measured" / f"dyadic_{model}" / "videos" / "model" for model in ("tuned", "infp"))
    folder = given.out / "study"
    arguments = (f"--a={ours}", f"--b={theirs}", f"--out={folder / 'site'}")
    steps = [Step("study", "experiments.preference_study", arguments, ("dyadic_tuned", "dyadic_infp"))]
    if (folder / "answers").is_dir():
        arguments = (f"--key={folder / 'key.json'}", f"--answers={folder / 'answers'}", f"--out={folder / 'results'}")
        steps.append(Step("answers", "experiments.preference_results", arguments, ("study",)))
    return steps
