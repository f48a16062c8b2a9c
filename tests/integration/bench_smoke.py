#!/usr/bin/python3
"""The harness works: each case of `compare` runs for a moment, and nobody makes a mistake. Asserts no time.

usage: bench_smoke.py BUILD TREE
"""
import json
import os
import subprocess
import sys
import tempfile

build, tree = sys.argv[1:3]
cases = "small,fresh,16k,1m,upload,new,c1000,cores,log,copy"
with tempfile.TemporaryDirectory() as folder:
    done = subprocess.run([f"{tree}/bench/compare", "--rounds", "1", "--seconds", "1", "--cases", cases, "--json", f"{folder}/out.json"],
                          env={**os.environ, "SLUICE_BENCH_BUILD": build}, cwd=tree, capture_output=True, text=True)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    result = json.load(open(f"{folder}/out.json"))
for case in cases.split(","):
    for name, column in result[case].items():
        if "sluice" in name or name == "floor":
            assert column["errors"] == 0, (case, name, column)
            assert column["rate"] > 1, (case, name, column)
assert "floor" in result["small"]
print("ok")
