"""The table of recorded conversations: what is read from it, what is refused, and splits without a common person."""

from dataclasses import replace

import pytest

from afjax.errors import InputError
from data_pipeline.recorded.pairs import Label, Pair, Side, read_pairs, split_by_person

HEADER = "conversation,avatar_video,user_video,avatar_person,user_person"


def table(folder, *lines, header=HEADER):
    path = folder / "pairs.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_two_videos_and_one_side_by_side(tmp_path):
    header = HEADER + ",avatar_half,avatar_audio,avatar_channel,user_audio,user_channel,split"
    lines = ["one,a.mp4,b.mp4,ann,bob,,,,,,train", "", "two,both.mp4,both.mp4,cy,di,right,v.wav,2,v.wav,1,eval"]
    one, two = read_pairs(table(tmp_path, *lines, header=header))
    video = tmp_path / "a.mp4"
    assert one.avatar == Side(video, "", video, 0, "ann") and one.split == "train"
    both, voices = tmp_path / "both.mp4", tmp_path / "v.wav"
    assert two == Pair("two", Side(both, "right", voices, 2, "cy"), Side(both, "left", voices, 1, "di"), "eval")


def test_further_columns(tmp_path):
    header = HEADER + ",avatar_audio,user_audio,start,end,avatar_boxes,user_boxes,user_speech,set,licence"
    cells = "a.wav,none,1.5,61,t.json#p0,t.json#p1,vad.json,RealTalk,Apache-2.0"
    lines = [f"one,both.avi,both.avi,ann,bob,{cells}", "two,a.mp4,b.mp4,cy,di,,,,,,,,,"]
    one, two = read_pairs(table(tmp_path, *lines, header=header))
    boxes = [Label(tmp_path / "t.json", key) for key in ("p0", "p1")]
    both, span = tmp_path / "both.avi", (1.5, 61.0)
    assert one.avatar == Side(both, "", tmp_path / "a.wav", 0, "ann", span, boxes[0])
    assert one.user == Side(both, "", None, 0, "bob", span, boxes[1], Label(tmp_path / "vad.json"))
    assert (one.set, one.licence) == ("RealTalk", "Apache-2.0")
    assert two.avatar == Side(tmp_path / "a.mp4", "", tmp_path / "a.mp4", 0, "cy") and two.set == ""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_tables_as_spreadsheets_save_them(tmp_path, encoding, mark):
    rows = [HEADER.split(",") + ["", ""], ["one", "a.mp4", " ü, b.mp4 ", "ann", "bob", "", ""], [""] * 7]
    text = "\r\n".join(mark.join(f'"{cell}"' if "," in cell else cell for cell in row) for row in rows)
    (tmp_path / "pairs.csv").write_bytes(text.encode(encoding))
    (pair,) = read_pairs(tmp_path / "pairs.csv")
    assert (pair.name, pair.user.video, pair.user.person) == ("one", tmp_path / "ü, b.mp4", "bob")


@pytest.mark.parametrize(
    ("lines", "further", "message"),
    [
        ([], "", "no conversations"),
        (["a,x.mp4,y.mp4,ann,bob"] * 2, "", "line 3: conversation 'a' is in line 2 already"),
        (["a,x.mp4,y.mp4,ann"], "", "4 cells under 5 columns"),
        (["a,x.mp4,,ann,bob"], "", "line 2: user_video is empty"),
        (["../a,x.mp4,y.mp4,ann,bob"], "", "no name for a conversation"),
        (["a,x.mp4,y.mp4,ann,ann"], "", "ann is on both sides"),
        (["a,x.mp4,x.mp4,ann,bob"], "", "say where the avatar is"),
        (["a,x.mp4,y.mp4,ann,bob,left"], ",avatar_half", "two videos have no halves"),
        (["a,x.mp4,x.mp4,ann,bob,left"], ",avatar_half", "both sides have the same sound"),
        (["a,x.mp4,x.mp4,ann,bob,top"], ",avatar_half", "avatar_half is 'top'"),
        (["a,x.mp4,y.mp4,ann,bob,first"], ",avatar_channel", "avatar_channel is 'first'"),
        (["a,x.mp4,y.mp4,ann,bob,test"], ",split", "split is 'test'"),
        (["a,x.mp4,y.mp4,ann,bob,train", "b,x.mp4,y.mp4,cy,di,"], ",split", "b has no split"),
        (["a,x.mp4,y.mp4,ann,bob,train", "b,x.mp4,y.mp4,cy,ann,eval"], ",split", r"ann is in train \(a\) and in eval"),
        (["a,x.mp4,y.mp4,ann,bob,9,8"], ",start,end", "line 2: it ends at 8 s, before its start"),
        (["a,x.mp4,y.mp4,ann,bob,soon"], ",start", "start is 'soon'; seconds, or empty"),
        (["a,x.mp4,y.mp4,ann,bob,nan"], ",end", "end is 'nan'"),
        (["a,x.mp4,y.mp4,ann,bob,none,none"], ",avatar_audio,user_audio", "neither has a voice"),
        (["a,x.mp4,x.mp4,ann,bob,b.json#p,b.json#p"], ",avatar_boxes,user_boxes", "or boxes of both"),
        (["a,x.mp4,y.mp4,ann,bob,1"], ",avatar_vidoe", "unknown column 'avatar_vidoe'; did you mean avatar_video"),
        (['a,"x.mp4,y.mp4,ann,bob'], "", "no CSV"),
    ],
)
def test_a_fault_is_named(tmp_path, lines, further, message):
    with pytest.raises(InputError, match=message):
        read_pairs(table(tmp_path, *lines, header=HEADER + further))


def test_what_is_no_table_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_pairs(tmp_path / "none.csv")
    with pytest.raises(InputError, match="column avatar_person, user_person is missing"):
        read_pairs(table(tmp_path, header="conversation,avatar_video,user_video"))
    (tmp_path / "pairs.csv").write_bytes(b"x" * (1 << 17))
    with pytest.raises(InputError, match="its first line has no end"):
        read_pairs(tmp_path / "pairs.csv")
    (tmp_path / "pairs.csv").write_bytes("Jürgen".encode("latin1"))
    with pytest.raises(InputError, match="neither UTF-8 nor"):
        read_pairs(tmp_path / "pairs.csv")


def people(*couples):
    def side(person):
        return Side(None, "", None, 0, person)

    return [Pair(f"{a}-{b}", side(a), side(b), "") for a, b in couples]


def test_no_person_is_in_two_splits():
    pairs = people(*[(f"a{n}", f"b{n % 7}") for n in range(10)], *[(f"c{n}", f"d{n}") for n in range(20)])
    split = split_by_person(pairs)
    assert [replace(pair, split="") for pair in split] == pairs
    found = {name: {p for pair in split if pair.split == name for p in (pair.avatar.person, pair.user.person)}
             for name in ("train", "eval")}  # fmt: skip
    assert not found["train"] & found["eval"]
    assert sum(pair.split == "eval" for pair in split) == 3  # a tenth of thirty
    chosen = {pair.name for pair in split if pair.split == "eval"}
    assert {pair.name for pair in split_by_person(pairs[::-1]) if pair.split == "eval"} == chosen


def test_linked_conversations_stay_together():
    chain = people(("a", "b"), ("b", "c"), ("d", "c"))
    assert {pair.split for pair in split_by_person(chain)} == {"train"}
    split = split_by_person([*chain, *people(("x", "y"))])
    assert [pair.split for pair in split] == ["train"] * 3 + ["eval"]
