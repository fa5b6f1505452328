"""Time and peak memory of what works on files: `make bench`.

Every figure is of a whole process, as the operating system accounts for it.
"""

import json
import platform
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Fragment

WORDS = ["报告", "花园", "部署", "server", "garden", "火车票", "noodles", "明天", "rain", "我们"]
MEASURE = (
    "import resource,subprocess,sys,time;"
    "began=time.perf_counter();"
    "code=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL).returncode;"
    "used=resource.getrusage(resource.RUSAGE_CHILDREN);"
    "print(code,time.perf_counter()-began,used.ru_utime+used.ru_stime,used.ru_maxrss/1024)"
)


def line(number: int, rng: random.Random) -> dict[str, object]:
    """A prediction line of about the size of MLDR's: 25 turns, 4 images."""
    said, image = [], 0
    for turn in range(25):
        text = " ".join(rng.choices(WORDS, k=12))
        picture = turn % 6 == 3
        tag = f"<|img_id_start|>{image}<|img_id_end|><image>" if picture else ""
        image += picture
        said.append(f"<|utt_id_start|>{turn}<|utt_id_end|> user{1 + turn % 2}: {text}{tag}")
    gold = Fragment(frozenset(rng.sample(range(25), 8)), frozenset(rng.sample(range(image), 2)))
    found = Fragment(frozenset(rng.sample(range(25), 8)), frozenset(rng.sample(range(image), 2)))
    query = f"<|query_start|>{rng.choice(WORDS)} {number}<|query_end|>"
    return {
        "response": render_answer(found),
        "labels": render_answer(gold),
        "messages": [
            {"role": "user", "content": f"找出与查询 {query} 有关的发言和图片。\n" + "\n".join(said)},
            {"role": "assistant", "content": render_answer(found)},
        ],
        "images": [f"images/{i}.png" for i in range(image)],
        "dialogue_id": f"d{number}",
    }


def write_array(path: Path, size: int) -> int:
    """A JSON array on one line of at least `size` bytes; returns the number of records."""
    rng, number, written = random.Random(0), 0, 1
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        while written < size:
            text = (", " if number else "") + json.dumps(line(number, rng), ensure_ascii=False)
            written += len(text.encode())
            number += 1
            file.write(text)
        file.write("]")
    return number


def write_lines(path: Path, number: int) -> None:
    rng = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for i in range(number):
            file.write(json.dumps(line(i, rng), ensure_ascii=False) + "\n")


def measure(name: str, *arguments: str) -> None:
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", "f2rcli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, wall, cpu, memory = done.stdout.split()
    figures = f"{float(wall):7.2f} s  {float(cpu):7.2f} s CPU  {float(memory):6.0f} MB"
    print(f"{name:<46} exit {code}  {figures}", flush=True)


def main() -> None:
    print(f"{platform.platform()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        array, lines = Path(folder) / "array.json", Path(folder) / "lines.jsonl"
        images = Path(folder) / "images"
        images.mkdir()
        from PIL import Image

        for i in range(4):
            Image.new("RGB", (8, 8)).save(images / f"{i}.png")
        records = write_array(array, 200_000_000)
        write_lines(lines, 100_000)
        measure("f2r --help", "--help")
        measure("f2r models", "models")
        measure("f2r score, 50 lines", "score", "tests/golden/metrics/predictions_0.jsonl")
        measure("f2r score, 100,000 lines", "score", str(lines))
        measure(f"f2r data check, 200 MB array ({records} records)", "data", "check", str(array))
        measure("f2r score, the same", "score", str(array))


if __name__ == "__main__":
    main()
