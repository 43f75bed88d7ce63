#!/usr/bin/env python3
"""Plants defects in consumer::core by the hundred, and says which of them nothing notices.

    run.py FOLDER [SEEDS [DEFECTS [SKIPPED]]]

FOLDER takes a copy of the working tree, the list of defects and the outcome. Each defect runs SEEDS fleets, and the laws of
the consumer if no fleet shows it. Without a number of DEFECTS all are tried. They are in random order, which is the same each
time, and stays when other code changes: SKIPPED are those that were tried before.
"""

import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
OUT = pathlib.Path(sys.argv[1]).resolve()
SEEDS = sys.argv[2] if len(sys.argv) > 2 else "2000"
MOST = int(sys.argv[3]) if len(sys.argv) > 3 else None
SKIPPED = int(sys.argv[4]) if len(sys.argv) > 4 else 0
COPY, LIST, UNFIT, OUTCOME = OUT / "copy", OUT / "list.tsv", OUT / "unfit", OUT / "outcome.tsv"
CORE = "books calls deletes groups held leases limits mod polls storing".split()
# A defect may loop for ever, or take all there is.
CPU_S, MEMORY_BYTES = 8, 3 << 30

SWITCH = """//! Which defect is on.
#![allow(missing_docs)]
pub fn which() -> u32 {
    static WHICH: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *WHICH.get_or_init(|| std::env::var("PLANTED").ok().and_then(|number| number.parse().ok()).unwrap_or(0))
}
"""


def copy():
    shutil.rmtree(COPY, ignore_errors=True)
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, files.decode().split("\0")):
        target = COPY / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    consumer, simulation = COPY / "crates/consumer", COPY / "crates/simulation"
    (consumer / "src/planted.rs").write_text(SWITCH)
    with open(consumer / "src/lib.rs", "a") as lib:
        lib.write("\n#[allow(missing_docs)]\npub mod planted;\n")
    # One package for both, so that the consumer is built once.
    shutil.copytree(consumer / "tests/it", simulation / "tests/it")
    (simulation / "tests/it/main.rs").write_text("#![allow(warnings)]\nmod fakes;\nmod laws;\nmod rig;\n")
    with open(simulation / "Cargo.toml", "a") as manifest:
        manifest.write('\n[dev-dependencies]\ntokio = { workspace = true, features = ["rt", "sync", "time"] }\n')


def plant():
    core = [f"crates/consumer/src/core/{name}.rs" for name in CORE]
    for name in core:
        shutil.copy2(ROOT / name, COPY / name)
    planter = ["cargo", "run", "--quiet", "--locked", "--manifest-path", HERE / "Cargo.toml"]
    planter += ["--target-dir", OUT / "planter", "--", LIST, UNFIT]
    subprocess.run([*planter, *core], cwd=COPY, check=True)


def errors():
    """The defects that do not compile, by what the compiler says of the line they are in."""
    build = ["cargo", "check", "--package", "afterimage-consumer", "--lib", "--message-format=json"]
    done = subprocess.run(build, cwd=COPY, capture_output=True, text=True)
    unfit = set()
    for line in filter(lambda line: line.startswith("{"), done.stdout.splitlines()):
        message = json.loads(line).get("message")
        if not isinstance(message, dict) or message.get("level") != "error":
            continue
        for span in filter(lambda span: span["is_primary"], message["spans"]):
            source = (COPY / span["file_name"]).read_text().splitlines()
            at = span["line_start"] - 1
            numbers = (re.findall(r"(\d+)u32", source[n]) for n in range(at, max(at - 12, -1), -1))
            unfit.update(next((found[-1:] for found in numbers if found), []))
    if done.returncode != 0 and not unfit:
        sys.exit(done.stderr)
    return unfit


def prepare():
    copy()
    # What goes on after a defect that leaves `continue` or `return` out often borrows what it took: these seldom compile.
    UNFIT.write_text("")
    plant()
    jumps = [line.split("\t") for line in LIST.read_text().splitlines()]
    borrowing = {"plan_letters", "plan_extensions", "extended", "released"}
    UNFIT.write_text(
        " ".join(line[0] for line in jumps if line[3] in borrowing and re.match("delete `(continue|return)", line[4])) + " "
    )
    while True:
        plant()
        unfit = errors()
        if not unfit:
            break
        with open(UNFIT, "a") as file:
            file.write(" ".join(unfit) + " ")
    build = ["cargo", "test", "--no-run", "--package", "afterimage-simulation", "--test", "it", "--bin", "simulate"]
    done = subprocess.run([*build, "--message-format=json"], cwd=COPY, check=True, stdout=subprocess.PIPE, text=True)
    built = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    built = {line["target"]["name"]: line["executable"] for line in built if line.get("executable")}
    subprocess.run(["cargo", "build", "--package", "afterimage-simulation", "--bin", "simulate"], cwd=COPY, check=True)
    shutil.copy2(built["it"], OUT / "it")
    shutil.copy2(pathlib.Path(built["it"]).parents[1] / "simulate", OUT / "simulate")


def run(command, number):
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))

    environment = dict(os.environ, PLANTED=number, RUST_BACKTRACE="0", RUST_TEST_THREADS="1")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    return subprocess.run(command, env=environment, preexec_fn=limit, **pipes)


def judge(number):
    fleets = run([OUT / "simulate", "--first", "0", "--seeds", SEEDS, "--threads", "1"], number)
    if fleets.returncode != 0:
        law = re.search(r"seed (\d+) breaks a law: (\w+)", fleets.stdout)
        return number, "fleets", f"{law[2]}, seed {law[1]}" if law else "never ends"
    laws = run([OUT / "it", "laws::"], number)
    if laws.returncode != 0:
        failed = re.search(r"test (\S+) \.\.\. FAILED", laws.stdout)
        return number, "laws", failed[1] if failed else "never ends"
    return number, "nothing", ""


def shuffled(lines):
    """The numbers of the defects, in an order that goes by what they are: file, function, change, which of equal ones."""
    seen, keys = collections.Counter(), {}
    for line in lines:
        number, file, _, function, what = line.split("\t")
        seen[file, function, what] += 1
        keys[number] = hashlib.sha256(repr((file, function, what, seen[file, function, what])).encode()).digest()
    return sorted(keys, key=keys.get)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    prepare()
    lines = {line.split("\t")[0]: line for line in LIST.read_text().splitlines()}
    numbers = shuffled(lines.values())
    chosen = numbers[SKIPPED:][:MOST]
    by = {"fleets": 0, "laws": 0, "nothing": 0}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads, open(OUTCOME, "w") as outcome:
        for number, who, how in threads.map(judge, chosen):
            by[who] += 1
            outcome.write(f"{who}\t{how}\t{lines[number]}\n")
            outcome.flush()
            if who == "nothing":
                print(lines[number], flush=True)
    print(f"{sum(by.values())} of {len(numbers)} tried: noticed by fleets {by['fleets']}, by laws {by['laws']}, "
          f"by nothing {by['nothing']}")


main()
