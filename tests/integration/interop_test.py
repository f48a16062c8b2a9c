# Tokens made and read by an independent implementation (PyJWT over python-cryptography), for every algorithm, both ways.
# usage: interop_test.py PATH_TO_SLUICE
import datetime
import http.server
import ipaddress
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

sluice = sys.argv[1]
folder = tempfile.mkdtemp()
secret = "a secret of the tests that is long enough even for HS512, as the RFC wants it"
environment = dict(os.environ, JWT_SECRET=secret)
makers = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048), "PS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()), "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()), "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
for bits in ("384", "512"):
    makers["RS" + bits] = makers["RS256"]
    makers["PS" + bits] = makers["PS256"]
failures = 0


def run(*arguments):
    return subprocess.run([sluice, *arguments], env=environment, capture_output=True, text=True)


def expect(good, what):
    global failures
    if not good:
        print("FAILED:", what)
        failures += 1


def write(name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


for algorithm in ["HS256", "HS384", "HS512", *sorted(makers)]:
    if algorithm.startswith("HS"):
        signing = verifying = secret
        keys, mint = "secret: { env: JWT_SECRET }", ["--alg", algorithm]
    else:
        signing = makers[algorithm]()
        verifying = signing.public_key()
        private = signing.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        public = verifying.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        keys = "pem: [" + write(algorithm + ".pub.pem", public.decode()) + "]"
        mint = ["--alg", algorithm, "--key", write(algorithm + ".pem", private.decode())]
    config = write(algorithm + ".yaml", f"""
auth: {{ main: {{ {keys}, algorithms: [{algorithm}], issuer: interop, audiences: [api] }} }}
upstreams: {{ a: {{ endpoints: [http://127.0.0.1:9001] }} }}
routes: [ {{ auth: main, upstream: a }} ]
""")
    claims = {"sub": "älice", "iss": "interop", "aud": ["x", "api"], "exp": int(time.time()) + 600, "nested": {"a": [1, 2.5, None]}}
    theirs = jwt.encode(claims, signing, algorithm=algorithm)
    result = run("token", "verify", "--config", config, theirs)
    expect(result.returncode == 0 and "Good: it is älice." in result.stdout, f"{algorithm}: theirs: {result.stdout}{result.stderr}")
    changed = theirs[:-6] + ("A" if theirs[-6] != "A" else "B") + theirs[-5:]
    result = run("token", "verify", "--config", config, changed)
    expect(result.returncode == 1 and "Refused: jwt." in result.stdout, f"{algorithm}: a changed one: {result.stdout}{result.stderr}")
    result = run("token", "mint", *mint, "--sub", "bob", "--claim", "iss=interop", "--json", 'aud=["api"]')
    expect(result.returncode == 0, f"{algorithm}: mint: {result.stderr}")
    read = jwt.decode(result.stdout.strip(), verifying, algorithms=[algorithm], audience="api", issuer="interop")
    expect(read["sub"] == "bob" and read["aud"] == ["api"], f"{algorithm}: ours: {read}")
# A key set over https, from somebody whose certificate nobody vouches for: the right keys, and not believed.
signing = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
today = datetime.datetime.now(datetime.timezone.utc)
certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(signing.public_key()).serial_number(7)
               .not_valid_before(today - datetime.timedelta(days=1)).not_valid_after(today + datetime.timedelta(days=1))
               .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
               .sign(signing, hashes.SHA256()))
pem = signing.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
trust = write("server.pem", certificate.public_bytes(serialization.Encoding.PEM).decode())
both = write("both.pem", pem.decode() + certificate.public_bytes(serialization.Encoding.PEM).decode())
key_file = write("signing.pem", pem.decode())
keys = run("keys", "jwks", trust).stdout


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(keys)))
        self.end_headers()
        self.wfile.write(keys.encode())

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(both)
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
config = write("https.yaml", f"""
auth: {{ main: {{ jwks: {{ url: "https://127.0.0.1:{server.server_port}/keys" }}, algorithms: [ES256] }} }}
upstreams: {{ a: {{ endpoints: [http://127.0.0.1:9001] }} }}
routes: [ {{ auth: main, upstream: a }} ]
""")
token = run("token", "mint", "--key", key_file).stdout.strip()
result = run("token", "verify", "--config", config, token)
expect(result.returncode == 1 and "jwt.no_keys" in result.stdout and "certificate" in result.stderr, f"https: {result.stdout}{result.stderr}")
with open(config) as file:
    trusting = write("https-trusted.yaml", file.read().replace("jwks: {", "jwks: { ca: " + trust + ","))
result = run("token", "verify", "--config", trusting, token)
expect(result.returncode == 0 and "Good" in result.stdout, f"https, trusted: {result.stdout}{result.stderr}")
server.shutdown()

print("interoperability: all well" if failures == 0 else f"{failures} failed")
sys.exit(failures != 0)
