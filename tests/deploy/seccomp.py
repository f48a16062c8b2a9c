#!/usr/bin/python3
"""deploy/container/seccomp.json in a real container, made by runc: as nobody, without capabilities, on a read-only root, the
gateway answers; without the rule for io_uring it says what is missing and ends with 4.

usage: seccomp.py ROOT_FOLDER PROGRAM_IN_IT TREE     (root; runc)
"""
import json
import os
import subprocess
import sys
import tempfile

root, program, tree = sys.argv[1:4]
ask = ("exec 2>&1; %s run --listen 127.0.0.1:8000 --cores 1 --log none & gateway=$!\n"
       "for i in $(seq 200); do kill -0 $gateway 2>/dev/null || break; (exec 3<>/dev/tcp/127.0.0.1/8000) 2>/dev/null && break; sleep 0.1; done\n"
       "if exec 3<>/dev/tcp/127.0.0.1/8000; then printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3; head -1 <&3; kill $gateway; fi 2>/dev/null\n"
       "wait $gateway; echo \"exit $?\"") % program


def run(allows_io_uring):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["runc", "spec"], cwd=folder, check=True)
        with open(f"{folder}/config.json") as file:
            spec = json.load(file)
        with open(f"{tree}/deploy/container/seccomp.json") as file:
            profile = json.load(file)
        profile["syscalls"] = [{key: value for key, value in rule.items() if key != "comment"} for rule in profile["syscalls"]
                               if allows_io_uring or "io_uring_setup" not in rule["names"]]
        spec["root"] = {"path": os.path.realpath(root), "readonly": True}
        spec["process"].update(terminal=False, user={"uid": 65532, "gid": 65532}, args=["/bin/bash", "-c", ask], capabilities={}, noNewPrivileges=True,
                               env=["PATH=/usr/bin:/bin", "JWT_SECRET=a-secret-of-the-tests-that-is-long-enough"])
        # No part of the profile, and not every host lets a container have them.
        spec["mounts"] = [mount for mount in spec["mounts"] if mount["type"] != "cgroup"]
        spec["linux"].pop("resources", None)
        spec["linux"]["seccomp"] = profile
        with open(f"{folder}/config.json", "w") as file:
            json.dump(spec, file)
        done = subprocess.run(["runc", "--root", f"{folder}/state", "run", f"sluice-{os.getpid()}"], cwd=folder, capture_output=True, text=True, timeout=120)
        return done.stdout + done.stderr


said = run(True)
if "HTTP/1.1 200 OK" not in said or "exit 0" not in said:
    raise SystemExit(f"with the profile it does not serve: {said}")
said = run(False)
if "io_uring is not available" not in said or "exit 4" not in said:
    raise SystemExit(f"without io_uring it does not say so: {said}")
print("seccomp: serves with the profile; exit 4 without its rule for io_uring")
