"""Answers of a preference study into shares, intervals and sign tests.

    python -m experiments.preference_results --key study/key.json --answers study/answers --out study/results

`--answers` holds the files answers-NAME.json that participants sent back, one per participant. `--out` receives
results.json and results.md, the table. `afjax.metrics.preference_votes` and docs/evaluation.md explain the figures.
"""

from absl import flags

from afjax import files
from afjax.errors import InputError
from experiments import cli
from experiments.preferences.answers import about, markdown, measure, read_all, read_key, rows

_KEY = flags.DEFINE_string("key", None, "The study's key.json.")
_ANSWERS = flags.DEFINE_string("answers", None, "Folder of the participants' answers-NAME.json.")
_OUT = flags.DEFINE_string("out", None, "Folder for results.json and results.md.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the bootstrap's draws.", lower_bound=0)


def main():
    for flag in (_KEY, _ANSWERS, _OUT):
        if not flag.value:
            raise InputError(f"--{flag.name} is missing", do="--key, --answers and --out are needed")
    out = files.writable(_OUT.value, folder=True)
    key = read_key(files.absolute(_KEY.value))
    results = measure(read_all(files.absolute(_ANSWERS.value), key), key, _SEED.value)
    files.write_json(out / "results.json", results)
    with files.aside(out / "results.md") as partial:
        partial.write_text(markdown(results), encoding="utf-8")
    head, *body = rows(results)
    cli.print_table(body, head)
    print("\n".join([*about(results), f"written: {out}"]))


if __name__ == "__main__":
    cli.run(main)
