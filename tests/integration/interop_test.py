# Tokens made and read by an independent implementation (PyJWT over python-cryptography), for every algorithm, both ways.
# usage: interop_test.py PATH_TO_SLUICE
import os
import subprocess
import sys
import tempfile
import time

import jwt
from cryptography.hazmat.primitives import serialization
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
print("interoperability: all well" if failures == 0 else f"{failures} failed")
sys.exit(failures != 0)
