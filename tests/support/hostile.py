"""Prediction files of chats that try to be more than text, and pictures that are not all there."""

import json
from pathlib import Path

import official
from short_chats import picture

# What ends a script, starts one, or breaks JSON or a line of JavaScript.
TEXTS = [
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    "<!--<script>",
    'quote " backslash \\ ${hacked} {{ 7 * 7 }} {% raw %} ]]>',
    "两行\u2028之间\u2029与\ud800半个字 &lt;b&gt; &amp;",
    "javascript:window.hacked=3",
]
RIGHT, WRONG = official.answer([0, 6], [0]), official.answer([1])
ANSWERS = {
    "好.jsonl": (RIGHT, RIGHT, ""),  # exact, exact, malformed
    "<svg onload=window.hacked=4>.jsonl": (WRONG, RIGHT, TEXTS[0]),  # not, exact, malformed
}
TURNS = (
    *(f"甲: {text}" for text in TEXTS),
    f"乙: {official.PICTURE}",
    f"甲: 再看 {official.PICTURE} {official.PICTURE}",
)


def write(folder: Path) -> list[Path]:
    """Two files of the same three requests; pictures 0 and 1 are the same one, 2 is missing."""
    folder = folder / "<b onclick=hacked()>数据"
    (folder / "图片").mkdir(parents=True)
    same = picture(folder / "图片/0.png", seed=1, size=(320, 200))
    same.rename(folder / "图片/0.jpg")
    (folder / "图片/1.jpg").write_bytes((folder / "图片/0.jpg").read_bytes())
    made = []
    for name, answers in ANSWERS.items():
        lines = [
            official.line(
                *TURNS,
                response=answer,
                labels=RIGHT,
                query=f"{TEXTS[n]} 第{n}问",
                dialogue_id=TEXTS[1],
                f2r={"shares": [TEXTS[0]] if n else ["普通"]},
            )
            for n, answer in enumerate(answers)
        ]
        path = folder / name
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        made.append(path)
    return made
