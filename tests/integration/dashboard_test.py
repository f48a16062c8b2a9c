#!/usr/bin/python3
"""The rules, alerts and dashboard of deploy/, against a real Prometheus that scrapes a real gateway under load: promtool is
content, every alert has a case in which it fires, every metric that is named exists, and no query comes back empty.

usage: dashboard_test.py PATH_TO_SLUICE TREE
"""
import http.client
import http.server
import json
import math
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import yaml

sluice, tree = sys.argv[1:3]
rules = f"{tree}/deploy/prometheus"
secret = "a secret of the tests that is long enough for HS256"
environment = {**os.environ, "JWT_SECRET": secret}
failures = []

# What a gateway without TLS does not have; everything else must have a value here.
may_be_empty = {"gateway_certificate_not_after_seconds": "this gateway has no certificate"}


def expect(is_so, what):
    if not is_so:
        failures.append(what)
        print("FAILED:", what)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(is_so, what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = is_so()
        if value:
            return value
        time.sleep(0.05)
    raise SystemExit(f"waited {seconds} s for: {what}")


class Origin(http.server.BaseHTTPRequestHandler):
    """200, or 500 for /fail."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(500 if self.path == "/fail" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def drive(port, token, stop):
    """Good requests, and each kind of bad one: no token, a wrong one, a failing endpoint, a target that nobody may send."""
    good = {"Authorization": f"Bearer {token}"}
    asked = [("/a", good), ("/a", good), ("/a", {}), ("/a", {"Authorization": f"Bearer {token[:-4]}AAAA"}), ("/fail", good), ("/%00", good)]
    while not stop.is_set():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for path, headers in asked:
            try:
                connection.request("GET", path, headers=headers)
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()
        connection.close()
        stop.wait(0.02)


def ask(base, path, **parameters):
    with urllib.request.urlopen(f"{base}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=20) as answer:
        return json.load(answer)["data"]


def values_of(base, expression):
    """The numbers of an instant query; those that say nothing (NaN) are left out."""
    result = ask(base, "query", query=expression)["result"]
    return [value for series in result if not math.isnan(value := float(series["value"][1]))]


def names_in(expression):
    return set(re.findall(r"\b(?:gateway|process)_[a-z0-9_]+", re.sub(r"\{[^}]*\}|\b[a-z_]+:[a-z_:0-9]+", "", expression)))


def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, cwd=rules)
    expect(done.returncode == 0, f"promtool {' '.join(arguments)}: {done.stdout}{done.stderr}")


def check_rules():
    promtool("check", "rules", "rules.yml", "alerts.yml")
    promtool("test", "rules", "tests.yml", "tests_days.yml")
    alerts = [rule for group in yaml.safe_load(open(f"{rules}/alerts.yml"))["groups"] for rule in group["rules"]]
    fired = set()
    for file in ("tests.yml", "tests_days.yml"):
        for case in yaml.safe_load(open(f"{rules}/{file}"))["tests"]:
            for of in case.get("promql_expr_test", []):
                if of["exp_samples"]:
                    fired |= set(re.findall(r'ALERTS\{alertname="(\w+)", alertstate="firing"\}', of["expr"]))
            fired |= {of["alertname"] for of in case.get("alert_rule_test", []) if of["exp_alerts"]}
    for alert in alerts:
        expect(alert["alert"] in fired, f"no test has {alert['alert']} fire")
        expect(alert["labels"]["severity"] in ("page", "ticket"), f"severity of {alert['alert']}")
        expect({"summary", "description"} <= set(alert["annotations"]), f"annotations of {alert['alert']}")


def queries_of_dashboard():
    dashboard = json.load(open(f"{tree}/deploy/grafana/sluice.json"))
    panels = dashboard["panels"]
    expect(len({panel["id"] for panel in panels}) == len(panels), "two panels have one id")
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        expect(not cells & taken and at["x"] + at["w"] <= 24, f"{panel['title']} overlaps")
        taken |= cells
        expect(panel["type"] == "row" or panel["targets"], f"{panel['title']} asks nothing")
    known = {"__rate_interval"} | {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard)))
    expect(used - {"__all"} <= known, f"unknown variables: {used - known}")
    queries = [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", [])]
    return queries


def concrete(expression):
    return expression.replace("$__rate_interval", "20s").replace("$job", ".*").replace("$instance", ".*")


def is_excused(expression):
    return any(name in expression for name in may_be_empty)


def start(folder):
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    port, own = free_port(), free_port()
    gateway = subprocess.Popen([sluice, "run", "--listen", f"127.0.0.1:{port}", "--upstream", f"http://127.0.0.1:{origin.server_port}",
                                "--rate", "50/s", "--burst", "20", "--cores", "2", "--log", "none"], env=environment, stderr=subprocess.DEVNULL)
    with open(f"{folder}/prometheus.yml", "w") as file:
        file.write(f"""
global: {{ scrape_interval: 500ms, evaluation_interval: 1s }}
rule_files: ["{rules}/rules.yml", "{rules}/alerts.yml"]
scrape_configs: [{{ job_name: sluice, static_configs: [{{ targets: ["127.0.0.1:{port}"] }}] }}]
""")
    said = open(f"{folder}/prometheus.log", "w")
    prometheus = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                   f"--web.listen-address=127.0.0.1:{own}", "--log.level=warn"], stdout=said, stderr=said)
    return port, f"http://127.0.0.1:{own}", [gateway, prometheus]


def is_ready(base):
    try:
        return urllib.request.urlopen(f"{base}/-/ready", timeout=5).status == 200
    except OSError:
        return False


def main():
    check_rules()
    queries = queries_of_dashboard()
    folder = tempfile.TemporaryDirectory()
    port, base, processes = start(folder.name)
    stop = threading.Event()
    try:
        token = subprocess.run([sluice, "token", "mint"], env=environment, capture_output=True, text=True, check=True).stdout.strip()
        until(lambda: is_ready(base), "Prometheus")
        drivers = [threading.Thread(target=drive, args=(port, token, stop)) for _ in range(4)]
        for driver in drivers:
            driver.start()
        waiting = [(title, expression) for title, expression in queries if not is_excused(expression)]

        def all_answered():
            waiting[:] = [(title, expression) for title, expression in waiting if not values_of(base, concrete(expression))]
            return not waiting

        try:
            until(all_answered, "every query to have a value", 45)
        except SystemExit:
            for title, expression in waiting:
                expect(False, f"empty: {title}: {expression}")
        for title, expression in queries:
            ask(base, "query", query=concrete(expression))  # what is excused is well-formed all the same
        check_metrics(base, queries)
    finally:
        stop.set()
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)
    excused = sum(is_excused(expression) for _, expression in queries)
    print(f"{len(queries)} queries, {len(queries) - excused} with a value; without: {may_be_empty}")


def check_metrics(base, queries):
    """Names exist, and Prometheus itself is content with what it evaluates."""
    served = set(ask(base, "label/__name__/values"))
    loaded = [rule for group in ask(base, "rules")["groups"] for rule in group["rules"]]
    expect(len(loaded) > 30, "the rules are loaded")
    for rule in loaded:
        expect(rule["health"] != "err", f"{rule['name']}: {rule.get('lastError')}")
    for what, expression in queries + [(rule["name"], rule["query"]) for rule in loaded]:
        missing = names_in(expression) - served - set(may_be_empty)
        expect(not missing, f"{what} names what no gateway has: {missing}")


main()
sys.exit(1 if failures else 0)
