#!/usr/bin/env python3
"""Prints one table: Qualm against the peers installed from the distribution, medians of interleaved rounds.

    python3 bench/run.py [--rounds N]

Peers that are missing are said to be missing. Ratios are of medians; below 1 Qualm is faster.
"""
import os, resource, shutil, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
QUALM = os.path.join(HERE, "..", "target", "release", "qualm")
PROGRAMS = os.path.join(HERE, "programs")

def program(name):
    return os.path.join(PROGRAMS, name)

def qualm(name, *flags):
    return [QUALM, "run", *flags, program(name)]

def timed(command):
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    took = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr.decode()}")
    return took

def compare(rounds, commands):
    """Median times of several commands, run in turn."""
    times = {name: [] for name in commands}
    for name in commands:
        timed(commands[name])
    for _ in range(rounds):
        for name in commands:
            times[name].append(timed(commands[name]))
    return {name: statistics.median(found) for name, found in times.items()}

def row(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)

def main():
    rounds = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 7
    if not os.path.exists(QUALM):
        sys.exit("build first: cargo build --release")
    lua, luajit = shutil.which("lua5.4"), shutil.which("luajit")
    row("what", "qualm ms", "peer", "peer ms", "ratio", "bar")
    row("---", "---:", "---", "---:", "---:", "---:")
    ratios = []
    for name in ["fib", "loop", "strings", "sort", "maps"]:
        if not lua:
            row(name, "", "lua5.4 is missing", "", "", "")
            continue
        found = compare(rounds, {"q": qualm(name + ".pn", "--workers", "1"), "p": [lua, program(name + ".lua")]})
        ratios.append(found["q"] / found["p"])
        row(name, f"{found['q'] * 1000:.0f}", "lua5.4", f"{found['p'] * 1000:.0f}", f"{ratios[-1]:.2f}", "")
    if ratios:
        row("geometric mean", "", "lua5.4", "", f"{statistics.geometric_mean(ratios):.2f}", "<= 1.00")
    if luajit:
        found = compare(rounds, {"q": qualm("updates.pn", "--workers", "1"), "p": [luajit, "-joff", program("updates.lua")]})
        row("1,000,000 updates of a list", f"{found['q'] * 1000:.0f}", "luajit -joff, mutable", f"{found['p'] * 1000:.0f}", f"{found['q'] / found['p']:.2f}", "< 3.00")
    else:
        row("1,000,000 updates of a list", "", "luajit is missing", "", "", "")
    found = compare(max(3, rounds // 2), {"two": qualm("parallel.pn", "--workers", "2"), "one": qualm("parallel.pn", "--workers", "1")})
    row("parallel group of 64", f"{found['two'] * 1000:.0f}", "one worker", f"{found['one'] * 1000:.0f}", f"{found['one'] / found['two']:.2f} times faster", ">= 1.80")
    hello = statistics.median(timed(qualm("hello.pn")) for _ in range(20))
    row("hello, median of 20", f"{hello * 1000:.1f}", "", "", "", "< 10 ms")
    for name, what in [("deep.pn", "recursion 10,000,000 deep"), ("thunks.qualm", "chain of 10,000,000 thunks")]:
        start = time.perf_counter()
        run = f"ulimit -s 256; exec {' '.join(qualm(name))}"
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        subprocess.run(["bash", "-c", run], check=True, stdout=subprocess.DEVNULL)
        took = time.perf_counter() - start
        peak = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
        row(what + ", 256 KiB native stack", f"{took * 1000:.0f}", "", "", f"{peak // 1024} MiB", "< 4096 MiB")
    noise = os.urandom(10_000_000)
    worst = (0.0, 0, "")
    with tempfile.TemporaryDirectory() as folder:
        for extension in ["pn", "qualm", "qb"]:
            for magic in [b"", b"\x7fqualm\x01"]:
                path = os.path.join(folder, "noise." + extension)
                with open(path, "wb") as out:
                    out.write(magic + noise)
                for command in ["run", "asm", "dis", "verify"]:
                    start = time.perf_counter()
                    limited = f"ulimit -v 1000000; exec {QUALM} {command} {path}"
                    done = subprocess.run(["bash", "-c", limited], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                    took = time.perf_counter() - start
                    if done.returncode != 2 or not done.stderr:
                        sys.exit(f"{command} of noise.{extension}: exit {done.returncode}")
                    worst = max(worst, (took, 0, f"{command} .{extension}"))
    row("10 MB of random bytes, slowest of 24", f"{worst[0] * 1000:.0f}", worst[2], "", "", "< 1000 ms")

main()
