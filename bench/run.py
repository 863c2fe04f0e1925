#!/usr/bin/env python3
"""Prints one table: Qualm against the peers installed from the distribution, medians of interleaved rounds.

    python3 bench/run.py [--rounds N] [--fibers]

`--fibers` prints only what is about processes.

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

FIBERS = os.path.join(PROGRAMS, "fibers")

def peak(command):
    """Seconds and peak MiB of a command, from the system."""
    start = time.perf_counter()
    done = subprocess.run(["/usr/bin/env", "time", "-f", "%M", *command] if shutil.which("time") else command,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    took = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr.decode()}")
    last = done.stderr.split()[-1] if done.stderr.split() else b"0"
    return took, int(last) / 1024 if last.isdigit() else 0

def built_peers(folder):
    """Erlang programs and Go programs that can be run, by name."""
    peers = {}
    if shutil.which("erlc"):
        for name in os.listdir(FIBERS):
            if name.endswith(".erl"):
                subprocess.run(["erlc", "-o", folder, os.path.join(FIBERS, name)], check=True)
                module = name[:-4]
                peers["erl " + module] = ["erl", "+P", "2000000", "-noshell", "-noinput", "-pa", folder, "-s", module, "main"]
    if shutil.which("go"):
        for name in ["million", "hello_http"]:
            out = os.path.join(folder, name)
            subprocess.run(["go", "build", "-o", out, os.path.join(FIBERS, name + ".go")], check=True)
            peers["go " + name] = [out]
    return peers

def fibers(rounds):
    """Processes and messages, against Erlang and Go. The time that the Erlang machine takes to start is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        peers = built_peers(folder)
        rounds = max(3, rounds // 2)
        own = lambda name, *args: [QUALM, "run", os.path.join(FIBERS, name + ".pn"), *args]
        cases = [("million", "1,000,000 processes send to one", 1_000_000, "<= 0.20"), ("pingpong", "ping-pong, a message", 2_000_000, "<= 0.70"),
                 ("ring", "ring of 1,000, a message", 1_000_000, "<= 0.70"), ("senders", "10,000,000 messages of 1,000 senders", 10_000_000, ""),
                 ("join", "spawn and join", 1_000_000, "<= 500 ns")]
        for name, what, count, bar in cases:
            commands = {"q": own(name)}
            if "erl " + name in peers:
                commands |= {"p": peers["erl " + name], "e": peers["erl empty"]}
            if "go " + name in peers:
                commands["g"] = peers["go " + name]
            found = compare(rounds, commands)
            nanos = lambda seconds: f"{seconds / count * 1e9:.0f} ns"
            if "p" in found:
                erlang = found["p"] - found["e"]
                row(what, nanos(found["q"]), "erlang", nanos(erlang), f"{found['q'] / erlang:.2f}", bar)
            else:
                row(what, nanos(found["q"]), "erlang is missing", "", "", bar)
            if "g" in found:
                row("", nanos(found["q"]), "go", nanos(found["g"]), f"{found['q'] / found['g']:.2f}", "")
        base = peak(own("idle", "0"))[1]
        for count, bar in [(1_000_000, "<= 512 B"), (10_000_000, "<= 8 GiB in all")]:
            took, most = peak(own("idle", str(count)))
            row(f"{count:,} idle processes", f"{(most - base) * 2**20 / count:.0f} B each, {most:.0f} MiB, {took:.1f} s", "", "", "", bar)
        if "erl idle" in peers:
            took, most = peak(peers["erl idle"])
            row("", "", "erlang, 1,000,000", f"{most * 2**20 / 1e6:.0f} B each, {took:.1f} s", "", "")
        took, most = peak(own("senders"))
        row("peak memory of 10,000,000 messages", f"{most:.0f} MiB", "", "", "", "bounded")
        found = compare(rounds, {"q": own("map"), "one": own("map1")})
        row("parallel map, an item more than without", f"{max(0, found['q'] - found['one']) * 1000:.0f} ns", "", "", "", "<= 1000 ns")
        if shutil.which("wrk"):
            http(peers)
        else:
            row("HTTP", "", "wrk is missing", "", "", "")
    done = subprocess.run(["cargo", "run", "--release", "-q", "-p", "qualm-check", "--example", "snapshots"], cwd=os.path.join(HERE, ".."),
                          stdout=subprocess.PIPE, check=True)
    for line in done.stdout.decode().splitlines():
        name, save, restore, _, first, second, _ = line.split("\t")
        row(f"snapshot + restore of {name}", f"{float(save):.0f} + {float(restore):.0f} us", "", "", "", "<= 2000 us" if "M" in name else "<= 20 us")
        if "M" in name:
            row("second snapshot after a small change", f"{int(second) / int(first) * 100:.1f} % of the first", "", "", "", "<= 5 %")

def http(peers):
    """Requests a second of a server that says hello."""
    def serve(command, port):
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        try:
            rates = []
            for connections, seconds in [(64, 4), (64, 4), (10_000, 6)]:
                done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}", f"http://127.0.0.1:{port}/"], stdout=subprocess.PIPE)
                found = [line for line in done.stdout.decode().splitlines() if line.startswith("Requests/sec")]
                rates.append(float(found[0].split()[1]) if found else 0)
            with open(f"/proc/{server.pid}/statm") as status:
                resident = int(status.read().split()[1]) * 4096 / 2**20
            return max(rates[:2]), rates[2], resident
        finally:
            server.kill()
            server.wait()
    own = serve([QUALM, "run", "--allow", "listen", os.path.join(FIBERS, "hello_http.pn")], 8191)
    peer = serve(peers["go hello_http"], 8192) if "go hello_http" in peers else None
    for place, what in [(0, "HTTP hello, 64 connections"), (1, "the same, 10,000 connections")]:
        ratio = f"{own[place] / peer[place]:.2f} of its rate" if peer and peer[place] else ""
        row(what, f"{own[place]:.0f}/s", "go net/http", f"{peer[place]:.0f}/s" if peer else "missing", ratio, ">= 0.50" if place == 0 else "")
    row("memory of the server after that", f"{own[2]:.0f} MiB", "", f"{peer[2]:.0f} MiB" if peer else "", "", "")

def main():
    rounds = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 7
    if not os.path.exists(QUALM):
        sys.exit("build first: cargo build --release")
    lua, luajit = shutil.which("lua5.4"), shutil.which("luajit")
    row("what", "qualm ms", "peer", "peer ms", "ratio", "bar")
    row("---", "---:", "---", "---:", "---:", "---:")
    if "--fibers" in sys.argv:
        return fibers(rounds)
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
    fibers(rounds)
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
