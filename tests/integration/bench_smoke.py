#!/usr/bin/python3
"""The harness works: each case of `compare` and each other measurement runs for a moment, and nobody makes a mistake. Asserts no time.

usage: bench_smoke.py BUILD TREE
"""
import json
import os
import subprocess
import sys
import tempfile

build, tree = sys.argv[1:3]
cases = "small,fresh,16k,1m,100m,upload,new,c1000,cores,log,copy,copy100m"  # c8000 wants more descriptors than every machine gives
environment = {**os.environ, "SLUICE_BENCH_BUILD": build}
with tempfile.TemporaryDirectory() as folder:
    done = subprocess.run([f"{tree}/bench/compare", "--rounds", "1", "--seconds", "1", "--cases", cases, "--json", f"{folder}/out.json"],
                          env=environment, cwd=tree, capture_output=True, text=True)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    result = json.load(open(f"{folder}/out.json"))
for case in cases.split(","):
    for name, column in result[case].items():
        if "sluice" in name or name == "floor":
            assert column["errors"] == 0, (case, name, column)
            assert column["rate"] > 1, (case, name, column)
assert "floor" in result["small"]

# What to run, and what it must say.
for arguments, said in {"prove 2 1 1": "errors below 0.1 %: 0 of", "latency 1 1": "added: p50", "start 3": "start to first answer",
                        "idle 200": "200 idle connections", "limits 1 1": "median of ratios", "flood 1 2": "of a new address",
                        "tokens 1 1": "with a fresh token each", "forged 1 1": "beside", "remote 2000": "256 out", "relay 1 1": "104857600 bytes",
                        "micro --benchmark_filter=timer --benchmark_min_time=0.001": "timer_armed",
                        "micro --instructions --benchmark_filter=timer": "timer_armed_and_disarmed"}.items():
    done = subprocess.run([f"{tree}/bench/run", *arguments.split()], env=environment, cwd=tree, capture_output=True, text=True)
    print(arguments, done.stdout, done.stderr)
    assert said in done.stdout, arguments
    # The proof may fail: here is no time to be kept.
    assert done.returncode == 0 or arguments.startswith("prove"), (arguments, done.returncode)
    assert "errors: " not in done.stderr, arguments
print("ok")
