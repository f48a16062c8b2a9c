#!/usr/bin/python3
"""What is shipped beside the program, as far as it can be judged without building it: the Debian package's control files, the
container's system calls, and the manifests for Kubernetes. `./dev package --check` does the rest.

usage: packages_test.py PATH_TO_SLUICE TREE
"""
import json
import os
import re
import subprocess
import sys
import tempfile

import yaml

sluice, tree = sys.argv[1:3]
failures = 0


def expect(is_so, what):
    global failures
    if not is_so:
        failures += 1
        print("FAILED:", what)


def read(path):
    with open(f"{tree}/{path}") as file:
        return file.read()


def check(text, what):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        said = subprocess.run([sluice, "check", "--no-secrets", file.name], capture_output=True, text=True)
        expect(said.returncode == 0 and "warning" not in said.stderr, f"{what}: {said.stderr}")


def debian():
    control = read("deploy/debian/control")
    for paragraph in control.strip().split("\n\n"):
        for line in paragraph.splitlines():
            expect(re.match(r"[A-Z][A-Za-z-]*: \S| \S", line), f"control: {line}")
    named = re.search(r"Build-Depends:((?:.|\n )*)", control)[1]
    needed = {re.sub(r"\(.*?\)", "", part).split("|")[0].strip() for part in named.split(",")}
    script = set(re.search(r"^build_packages=\(([^)]*)\)", read("dev"), re.M)[1].split())
    # The compiler is essential for building; the cache is a convenience.
    expect(needed - {"debhelper-compat", "pkgconf"} == script - {"g++", "ccache", "pkg-config"}, f"Build-Depends and ./dev differ: {needed ^ script}")
    expect("has not chosen a licence yet" in read("deploy/debian/copyright"), "copyright says that there is no licence yet")
    for name in ("postinst", "postrm"):
        expect("#DEBHELPER#" in read(f"deploy/debian/{name}"), f"{name} has room for debhelper's part")
        expect(subprocess.run(["sh", "-n", f"{tree}/deploy/debian/{name}"]).returncode == 0, f"{name} is a script")
    expect(os.access(f"{tree}/deploy/debian/rules", os.X_OK), "rules can be executed")
    configuration = read("deploy/debian/sluice.yaml")
    check(configuration, "deploy/debian/sluice.yaml")
    expect(yaml.safe_load(configuration)["listen"].startswith("127.0.0.1:"), "a fresh installation listens on loopback only")


def container():
    profile = json.loads(read("deploy/container/seccomp.json"))
    expect(profile["defaultAction"] == "SCMP_ACT_ERRNO", "what is not named is refused")
    allowed = [name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]]
    named = [name for rule in profile["syscalls"] for name in rule["names"]]
    expect(len(named) == len(set(named)), f"named twice: {[name for name in named if named.count(name) > 1]}")
    for name in ("io_uring_setup", "io_uring_enter", "io_uring_register", "landlock_restrict_self", "seccomp", "execve"):
        expect(name in allowed, f"{name} is not allowed")
    for name in ("mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "clone3", "ptrace", "process_vm_writev", "bpf", "perf_event_open", "kexec_load",
                 "init_module", "finit_module", "delete_module", "keyctl", "add_key", "userfaultfd", "reboot", "swapon", "settimeofday", "clock_settime",
                 "open_by_handle_at", "iopl", "ioperm", "quotactl", "acct", "syslog", "personality", "mknod"):
        expect(name not in allowed, f"{name} is allowed")
    recipe = read("deploy/container/Containerfile")
    for line in ("USER 65532:65532", "HEALTHCHECK ", "AS build"):
        expect(line in recipe, f"Containerfile lacks {line}")


def kubernetes():
    folder = f"{tree}/deploy/kubernetes"
    kinds = {}
    for name in yaml.safe_load(read("deploy/kubernetes/kustomization.yaml"))["resources"]:
        document = yaml.safe_load(open(f"{folder}/{name}"))
        kinds[document["kind"]] = document
    expect(set(kinds) == {"Namespace", "ConfigMap", "Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget"}, f"kinds: {set(kinds)}")
    expect({name for name in os.listdir(folder) if name.endswith(".yaml")} == {*yaml.safe_load(read("deploy/kubernetes/kustomization.yaml"))["resources"], "kustomization.yaml"},
           "every manifest is among the resources")
    configuration = kinds["ConfigMap"]["data"]["sluice.yaml"]
    check(configuration, "the ConfigMap's sluice.yaml")
    settings = yaml.safe_load(configuration)
    spec = kinds["Deployment"]["spec"]
    pod = spec["template"]["spec"]
    labels = spec["template"]["metadata"]["labels"].items()
    for what, selector in (("Deployment", spec["selector"]["matchLabels"]), ("Service", kinds["Service"]["spec"]["selector"]),
                           ("NetworkPolicy", kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]),
                           ("PodDisruptionBudget", kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"])):
        expect(selector.items() <= labels, f"the {what} selects the pods")
    container = pod["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    expect(settings["listen"] == f"0.0.0.0:{ports['http']}", "the port is the one listened on")
    expect(kinds["Service"]["spec"]["ports"][0]["targetPort"] in ports, "the Service's port")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        expect(container[probe]["httpGet"]["port"] in ports, probe)
    seconds = sum(int(settings["drain"][key].removesuffix("s")) for key in ("announce", "deadline"))
    expect(pod["terminationGracePeriodSeconds"] > seconds, "a pod has time to drain")
    expect(pod["securityContext"]["seccompProfile"]["type"] == "Localhost" and pod["securityContext"]["runAsNonRoot"], "the pod's security context")
    expect(container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}, "the container's")
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    expect(volumes["secrets"]["secret"]["defaultMode"] == 0o400, "nobody else reads the secret")
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    expect(set(mounts.values()) == set(volumes), "every volume is mounted")
    secret = settings["auth"]["main"]["secret"]["file"]
    expect(mounts.get(os.path.dirname(secret)) == "secrets", f"{secret} lies in the mounted secret")
    expect(kinds["Deployment"]["spec"]["replicas"] > kinds["PodDisruptionBudget"]["spec"]["maxUnavailable"], "one replica always remains")


debian()
container()
kubernetes()
print("ok" if failures == 0 else f"{failures} failures")
sys.exit(failures != 0)
