"""A page on which people compare two systems' videos, pair by pair, without knowing which system made which.

    python -m experiments.preference_study --a out/ours --b out/theirs --out study/site
    python -m experiments.preference_study --a listener --b out/infp --user_video user.mp4 --out study/site

Videos of the same name in both folders are a pair: H.264 in .mp4. With `--user_video`, once per clip, --a and --b are
models, and their videos, beside the user's, are made first: OUT_videos beside `--out`. `--out` receives index.html and
videos/, which work on any web server and from the disk, and fetch nothing else. `key.json`, beside that folder, says
which video came from where: keep it to yourself until the answers are in. Order and sides are shuffled anew for every
participant. The page gives participants a file answers-NAME.json at its end, which they send back;
`experiments.preference_results` counts these files. See docs/evaluation.md.
"""

from absl import flags

from afjax import files
from afjax.errors import InputError
from afjax.metrics import preference_votes
from experiments import cli
from experiments.preferences.study_page import make, places

_A = flags.DEFINE_string("a", None, "Folder of system A's videos; with --user_video, a model.")
_B = flags.DEFINE_string("b", None, "Folder of system B's videos, of the same names; with --user_video, a model.")
_USER_VIDEO = flags.DEFINE_multi_string(
    "user_video", [], "Video of a user whom both models listen to; may be repeated."
)
_PORTRAIT = flags.DEFINE_string("portrait", "", "Picture of the avatar's face, with --user_video.")
_OUT = flags.DEFINE_string("out", None, "Folder of the page to make.")
_KEY = flags.DEFINE_string("key", None, "File that says which video is whose; default: key.json beside --out.")
_SEED = flags.DEFINE_integer(
    "seed",
    None,
    "Of the ids and the order of pairs; drawn, and kept in the key, if not given.",
    lower_bound=0,
)
_NOTE = flags.DEFINE_string("note", "", "Sentence for participants, such as: The avatar is on the right.")


def main():
    for flag in (_A, _B, _OUT):
        if not flag.value:
            raise InputError(f"--{flag.name} is missing", do="--a, --b and --out are needed")
    out, key = places(files.absolute(_OUT.value), files.absolute(_KEY.value) if _KEY.value else None)
    systems, note, questions, odd = (_A.value, _B.value), _NOTE.value, preference_votes.QUESTIONS, []
    if _USER_VIDEO.value:
        from experiments.preferences import study_videos

        videos = out.with_name(f"{out.name}_videos")
        systems, odd = study_videos.render(systems, _USER_VIDEO.value, videos, _PORTRAIT.value)
        note, questions = note or study_videos.NOTE, study_videos.QUESTIONS
    elif _PORTRAIT.value:
        raise InputError("--portrait is that of videos which are made", do="it needs --user_video")
    content, remarks = make(*map(files.absolute, systems), out, key, _SEED.value, note, questions)
    for remark in odd + remarks:
        print(f"note: {remark}")
    counts = {"pairs": len(content["pairs"]), "questions a pair": len(questions)}
    cli.print_table([*counts.items(), ("seed", content["seed"]), ("study", content["study"])])
    print(f"written: {out / 'index.html'}; the key, not for participants: {key}")


if __name__ == "__main__":
    cli.run(main)
