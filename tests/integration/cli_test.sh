#!/usr/bin/env bash
# The command line as a user meets it: exit codes, one clear line for each mistake, the last line of a drain.
# usage: cli_test.sh PATH_TO_SLUICE
set -u
sluice=$1
failures=0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export JWT_SECRET=mysecret
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

expect() {  # code, text, command...
  local code=$1 text=$2 output status
  shift 2
  output=$("$@" 2>&1 </dev/null)
  status=$?
  if [ $status != "$code" ] || [[ $output != *"$text"* ]]; then
    printf 'FAILED: %s\n  exit %s (wanted %s), output: %s\n  wanted in it: %s\n' "$*" "$status" "$code" "$output" "$text"
    failures=$((failures + 1))
  fi
}

expect 2 'JWT_SECRET is not set' env -u JWT_SECRET "$sluice" run
expect 2 'JWT_SECRET is empty' env JWT_SECRET= "$sluice" run
printf 'from-a-credential-of-more-than-32-bytes\n' >"$folder/jwt-secret"
expect 2 'write for example 10/s' env -u JWT_SECRET CREDENTIALS_DIRECTORY="$folder" "$sluice" run --rate 10
expect 2 'is missing or empty' env -u JWT_SECRET CREDENTIALS_DIRECTORY=/nowhere "$sluice" run
expect 2 'write for example 10/s' "$sluice" run --rate 10
expect 2 'lets nothing through' "$sluice" run --rate 0/s
expect 2 '--burst: "-1"' "$sluice" run --burst=-1
expect 2 'delay 6 is above burst 5' "$sluice" run --delay 6
expect 2 'mean nothing with --rate none' "$sluice" run --rate none --burst 3
expect 2 '"nobody" is not jwt or none' "$sluice" run --auth nobody
expect 2 'is not an address' "$sluice" run --listen 8000
expect 2 'is not a URL' "$sluice" run --upstream 127.0.0.1:9001
printf 'upstreams: { a: { endpoints: [http://no-such-name.invalid] } }\nauth: { main: { secret: { env: JWT_SECRET } } }\nroutes: [{ auth: main, upstream: a }]\n' >"$folder/unresolved.yaml"
expect 0 'unresolved.yaml is good' "$sluice" check "$folder/unresolved.yaml"
expect 2 'has no address' "$sluice" check --resolve "$folder/unresolved.yaml"
expect 2 'write for example 500ms' "$sluice" run --upstream-timeout 2
expect 2 '--cores: "0"' "$sluice" run --cores 0
expect 2 'only ' "$sluice" run --cores 250
expect 2 "can't open log file /no/such/folder/x" "$sluice" run --listen 127.0.0.1:0 --log /no/such/folder/x
expect 2 '--no-such-flag' "$sluice" run --no-such-flag
expect 2 'subcommand' "$sluice"
expect 2 'there is no command sluice chekc; did you mean sluice check?' "$sluice" chekc x
expect 2 'did you mean sluice token mint?' "$sluice" token mnit
expect 2 'there is no command sluice xyzxyzxyz; see sluice --help' "$sluice" xyzxyzxyz
expect 2 'not expected: bogus' "$sluice" run --listen chekc bogus
expect 0 'An address could not be listened on' "$sluice" help exit-codes
expect 0 '--resolve' "$sluice" help check
expect 0 '--alg' "$sluice" help token mint
expect 2 'there is no help on chekc' "$sluice" help chekc
expect 2 'there is bash, zsh and fish' "$sluice" completion csh
expect 0 'sluice 0' "$sluice" --version
expect 2 'NAME=VALUE' "$sluice" token --claim x
expect 2 'needs --key FILE' "$sluice" token --alg RS256
expect 2 'is none of HS256' "$sluice" token mint --alg none
expect 0 'Error: 0' "$sluice" limits verify --rate 100/s --burst 1000 --cores 3 --for 300ms
expect 2 'write for example 10/s' "$sluice" limits verify --rate 10
expect 2 '--burst: "0"' "$sluice" limits verify --burst 0
printf 'limits: { a: { key: adress, rate: 10 } }\n' >"$folder/broken.yaml"
expect 2 'broken.yaml:1:21: "adress" is no key' "$sluice" check "$folder/broken.yaml"
expect 2 'broken.yaml:1:35: rate "10" has no unit' "$sluice" run --config "$folder/broken.yaml"
expect 2 'limits stand in the file' "$sluice" run --config "$folder/broken.yaml" --rate 1/s
expect 2 'routes say auth: in the file' "$sluice" run --config "$folder/broken.yaml" --auth none
expect 0 'sluice.yaml is good' "$sluice" check deploy/sluice.yaml
# Traps: what would be accepted and mean something else is said, and one mistake is one complaint.
cat >"$folder/traps.yaml" <<'YAML'
auth: { main: { secret: { env: NO_SUCH_SECRET } } }
upstreams:
  a: { endpoints: [http://127.0.0.1:1] }
  b: { endpoints: [http://127.0.0.1:2] }
routes:
  - { match: { path: "/gl/*" }, auth: main, upstream: a }
  - { auth: none, upstream: b }
YAML
expect 2 'NO_SUCH_SECRET is not set' "$sluice" check "$folder/traps.yaml"
expect 0 '* stands for itself here; for all below write path_prefix: /gl' "$sluice" check --no-secrets "$folder/traps.yaml"
expect 0 'upstream a: 127.0.0.1:1' "$sluice" check --no-secrets "$folder/traps.yaml"
"$sluice" check --no-secrets "$folder/traps.yaml" 2>/dev/null | grep -qx 'upstream b: 127.0.0.1:2' || { echo 'FAILED: two upstreams on one line'; failures=$((failures + 1)); }
cat >"$folder/options.yaml" <<'YAML'
upstreams: { a: { endpoints: [http://127.0.0.1:1] } }
routes:
  - { match: { path: /a }, auth: none, upstream: a, path: { encoded_slash: keep, merge_slashes: false }, underscores: pass, via: true, max_body: 1KiB }
  - { match: { path: /b }, auth: none, upstream: a, forwarded: both, underscores: refuse, max_body: 0 }
  - { match: { path: /c }, auth: none, upstream: a }
YAML
expect 0 'to a, no token, keeps %2F and %5C, keeps runs of slashes, passes fields with _, sends Via, bodies up to 1024 bytes' "$sluice" check "$folder/options.yaml"
expect 0 'to a, no token, refuses fields with _, sends X-Forwarded-* and Forwarded, bodies of any size' "$sluice" check "$folder/options.yaml"
printf 'routes:\n  - { match: { pth: /a }, auth: none, respond: { body: a } }\n  - { auth: none, respond: { body: b } }\n' >"$folder/match.yaml"
expect 2 'unknown key "pth" in match' "$sluice" check "$folder/match.yaml"
"$sluice" check "$folder/match.yaml" 2>&1 | grep -q 'which of them wins' && { echo 'FAILED: one mistake, two complaints'; failures=$((failures + 1)); }

# Keys and tokens of other kinds than secrets.
expect 0 '"kty":"EC","crv":"P-256"' "$sluice" keys generate --alg ES256 --kid k1 --out "$folder/es"
expect 2 'File exists' "$sluice" keys generate --alg ES256 --out "$folder/es"
expect 2 'HS algorithms have a secret' "$sluice" keys generate --alg HS256 --out "$folder/hs"
[ "$(stat -c %a "$folder/es.pem")" = 600 ] || { echo 'FAILED: a private key that others may read'; failures=$((failures + 1)); }
expect 0 '"kty":"EC"' "$sluice" keys jwks "$folder/es.pub.pem"
expect 2 'a private key; only its public key belongs here' "$sluice" keys jwks "$folder/es.pem"
openssl req -x509 -key "$folder/es.pem" -subj /CN=id.example -days 2 -out "$folder/es.crt" 2>/dev/null
expect 0 '"kty":"EC"' "$sluice" keys jwks "$folder/es.crt"
printf '%s\n' "auth: { main: { pem: [$folder/es.crt], algorithms: [ES256], issuer: me } }" \
  'upstreams: { a: { endpoints: [http://127.0.0.1:9001] } }' 'routes: [ { auth: main, upstream: a } ]' >"$folder/es.yaml"
token=$("$sluice" token mint --key "$folder/es.pem" --sub carol --claim iss=me)
expect 0 'Good: it is carol.' "$sluice" token verify --config "$folder/es.yaml" "$token"
expect 0 'Good: it is carol.' bash -c "echo $token | '$sluice' token verify --config '$folder/es.yaml' -"
expect 1 'Refused: jwt.issuer' "$sluice" token verify --config "$folder/es.yaml" "$("$sluice" token mint --key "$folder/es.pem")"
expect 1 'Refused: jwt.algorithm' "$sluice" token verify --config "$folder/es.yaml" "$("$sluice" token mint --claim iss=me)"
expect 2 'there is none of this name' "$sluice" token verify --config "$folder/es.yaml" --auth other "$token"
expect 0 'Nothing of this is verified' "$sluice" token inspect "$token"
expect 2 'this is no token' "$sluice" token inspect hello
expect 2 'is no JSON' "$sluice" token mint --json 'aud=['
expect 0 'tls: { certificates' "$sluice" keys certificate --name api.example --name '*.example' --out "$folder/tls"
expect 0 'DNS:api.example, DNS:*.example' openssl x509 -noout -ext subjectAltName -in "$folder/tls.pem"
expect 2 'File exists' "$sluice" keys certificate --out "$folder/tls"
expect 2 'is not a name like' "$sluice" keys certificate --name 'a b' --out "$folder/tls2"
expect 0 600 stat -c %a "$folder/tls.key"
expect 0 'ci ' "$sluice" keys api ci builder
expect 2 'words of at most 64' "$sluice" keys api 'c.i' builder
token=$("$sluice" token --sub alice --ttl 15m --claim team=a)
[ "$(tr -cd . <<<"$token" | wc -c)" = 2 ] || { echo "FAILED: token: $token"; failures=$((failures + 1)); }

# A gateway and its service, by hand: ready, served, told to go, gone with a report.
"$sluice" backend --listen 127.0.0.1:0 2>"$folder/backend" &
backend=$!
until grep -q 'on port' "$folder/backend"; do :; done
port=$(grep -o 'port [0-9]*' "$folder/backend" | cut -d' ' -f2)
"$sluice" run --listen 127.0.0.1:0 --upstream "http://127.0.0.1:$port" --log "$folder/log" 2>"$folder/gateway" &
gateway=$!
until grep -q 'listening on' "$folder/gateway"; do kill -0 $gateway 2>/dev/null || break; done
url=http://$(grep -o 'listening on [0-9.:]*' "$folder/gateway" | cut -d' ' -f3)
until grep -q 'memory:' "$folder/gateway"; do :; done
grep -q 'warning: the secret has 8 bytes' "$folder/gateway" || { echo 'FAILED: no warning about the short secret'; failures=$((failures + 1)); }
grep -q 'are public' "$folder/gateway" || { echo 'FAILED: it is not said that metrics are public'; failures=$((failures + 1)); }
until grep -q 'configuration file' "$folder/gateway"; do kill -0 $gateway 2>/dev/null || break; done
grep -q 'a client address may send 6 requests at once and 10/s in the long run; above that 429 (--rate' "$folder/gateway" || { echo 'FAILED: the default limit is not said'; failures=$((failures + 1)); }
expect 0 'Hello from the example service' curl -s -H "Authorization: Bearer $token" "$url/api/hello"
expect 5 'another program uses this port' "$sluice" run --listen "${url#http://}"
curl -s -o "$folder/slow" -H "Authorization: Bearer $token" "$url/slow?ms=2500" &
slow=$!
until curl -s "$url/metrics" | grep -q 'gateway_requests_in_flight 2'; do :; done
kill -TERM $gateway
wait $gateway
status=$?
wait $slow
grep -q 'took so long' "$folder/slow" || { echo 'FAILED: the slow request was not finished'; failures=$((failures + 1)); }
[ $status = 0 ] || { echo "FAILED: exit code $status after a clean drain"; failures=$((failures + 1)); }
grep -q '1 requests finished while draining, 0 cut' "$folder/gateway" || { echo 'FAILED: no report:'; cat "$folder/gateway"; failures=$((failures + 1)); }
grep -q '"path":"/api/hello","status":200' "$folder/log" || { echo 'FAILED: no line in the log'; failures=$((failures + 1)); }
grep -q "$token" "$folder/log" "$folder/gateway" && { echo 'FAILED: a token in the log'; failures=$((failures + 1)); }

# By default a burst passes at once, and nothing is held; without a limit and a token everything passes.
codes() {  # flags...; how 20 requests one after another were answered
  : >"$folder/plain"  # nothing of the run before
  "$sluice" run --listen 127.0.0.1:0 --upstream "http://127.0.0.1:$port" --log none "$@" 2>"$folder/plain" &
  local gateway=$!
  until grep -q 'configuration file' "$folder/plain"; do kill -0 $gateway 2>/dev/null || break; done
  url=http://$(grep -o 'listening on [0-9.:]*' "$folder/plain" | cut -d' ' -f3)
  curl -s -o /dev/null -w '%{http_code}\n' "$url/api/hello?[1-20]" | sort | uniq -c | xargs
  kill -TERM $gateway
  wait $gateway
}
expect 0 '6 200 14 429' codes --auth none --rate 1/h
expect 0 '20 200' env -u JWT_SECRET bash -c "$(declare -f codes); sluice='$sluice' folder='$folder' port=$port; codes --auth none --rate none"
expect 0 '20 401' codes --rate none

# A second signal ends at once, and the exit code says that something was cut.
"$sluice" run --listen 127.0.0.1:0 --upstream "http://127.0.0.1:$port" --log none 2>"$folder/second" &
gateway=$!
until grep -q 'memory:' "$folder/second"; do :; done
url=http://$(grep -o 'listening on [0-9.:]*' "$folder/second" | cut -d' ' -f3)
curl -s -o /dev/null -H "Authorization: Bearer $token" "$url/slow?ms=600000" &
until curl -s "$url/metrics" | grep -q 'gateway_requests_in_flight 2'; do :; done
kill -INT $gateway
until grep -q draining "$folder/second"; do :; done
kill -INT $gateway
wait $gateway
status=$?
[ $status = 3 ] || { echo "FAILED: exit code $status after a cut drain"; cat "$folder/second"; failures=$((failures + 1)); }
kill $backend
wait 2>/dev/null
[ $failures = 0 ] && echo 'command line: all well'
exit $failures
