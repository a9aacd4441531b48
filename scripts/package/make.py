#!/usr/bin/env python3
"""Packages a built program: scripts/package/make.py PROGRAM OUT

Writes into OUT, for the platform of this machine:
  dao-api-VERSION-TARGET.tar.gz       the program, README and LICENSE
  dao-api-VERSION-TARGET.debug        its line tables, where PROGRAM.debug exists
  npm/dao-api-VERSION.tgz             the launcher, which `npx dao-api` runs
  npm/dao-api-cli-OS-CPU-VERSION.tgz  the program
  dao_api-VERSION-py3-none-*.whl      the program, which `uvx dao-api` runs
  image/                              the context of a container image: docker build OUT/image
  SHA256SUMS
None of them has a script that runs when it is installed, and none downloads anything.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTION = "A backend for graph editors: no lost work, every change attributed, every version replayable."
SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
# npm's name of a processor, and Rust's.
CPUS = {"x86_64": ("x64", "x86_64"), "aarch64": ("arm64", "aarch64"), "arm64": ("arm64", "aarch64")}
# Every platform that a release has a package for.
PLATFORMS = ["linux-x64", "linux-arm64", "darwin-arm64"]


def run(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, text=True, capture_output=True, **options).stdout


def glibc_needed(program):
    """The newest glibc that a symbol of the program asks for, as (major, minor)."""
    found = re.findall(r"GLIBC_(\d+)\.(\d+)", run("objdump", "-T", program))
    return max((int(major), int(minor)) for major, minor in found)


def is_reproducible(info):
    info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
    return info


def write_tarball(program, path, folder):
    with tarfile.open(path, "w:gz") as tar:
        for source, name in [(program, "dao-api"), (ROOT / "README.md", "README.md"), (ROOT / "LICENSE", "LICENSE")]:
            tar.add(source, f"{folder}/{name}", filter=is_reproducible)


def write_npm(program, version, name, out):
    system, cpu = name.split("-")
    common = {"version": version, "license": "Apache-2.0", "description": DESCRIPTION}
    cli = {"name": f"@dao-api/cli-{name}", **common, "os": [system], "cpu": [cpu], "files": ["dao-api"]}
    if system == "linux":
        cli["libc"] = ["glibc"]
    launcher = {
        "name": "dao-api",
        **common,
        "bin": {"dao-api": "dao-api.js"},
        "files": ["dao-api.js"],
        "engines": {"node": ">=18"},
        "optionalDependencies": {f"@dao-api/cli-{each}": version for each in PLATFORMS},
    }
    out.mkdir()
    for package, file in [(cli, program), (launcher, ROOT / "scripts/package/npm/dao-api.js")]:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(file, Path(folder) / package["files"][0])
            os.chmod(Path(folder) / package["files"][0], 0o755)
            shutil.copy(ROOT / "LICENSE", folder)
            shutil.copy(ROOT / "README.md", folder)
            (Path(folder) / "package.json").write_text(json.dumps(package, indent=2) + "\n")
            run("npm", "pack", "--silent", "--pack-destination", out.resolve(), cwd=folder)


def write_wheel(program, version, system, machine, out):
    if system == "linux":
        major, minor = glibc_needed(program)
        tag = f"py3-none-manylinux_{major}_{minor}_{machine}"
    else:
        # Wheels use Apple's name of the processor.
        tag = f"py3-none-macosx_11_0_{'arm64' if machine == 'aarch64' else machine}"
    with tempfile.TemporaryDirectory() as folder:
        info = Path(folder) / f"dao_api-{version}.dist-info"
        scripts = Path(folder) / f"dao_api-{version}.data/scripts"
        info.mkdir()
        scripts.mkdir(parents=True)
        shutil.copy(program, scripts / "dao-api")
        os.chmod(scripts / "dao-api", 0o755)
        shutil.copy(ROOT / "LICENSE", info)
        readme = (ROOT / "README.md").read_text()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: dao-api\nVersion: {version}\nSummary: {DESCRIPTION}\n"
            f"License: Apache-2.0\nDescription-Content-Type: text/markdown\n\n{readme}"
        )
        (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nGenerator: dao-api\nRoot-Is-Purelib: false\nTag: {tag}\n")
        run(sys.executable, "-m", "wheel", "pack", folder, "--dest-dir", out)


def write_image(program, out):
    out.mkdir()
    shutil.copy(program, out / "dao-api")
    shutil.copy(ROOT / "LICENSE", out)
    shutil.copy(ROOT / "scripts/package/Dockerfile", out)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    version = run(program, "--version").split()[1]
    system, (cpu, machine) = SYSTEMS[platform.system()], CPUS[platform.machine()]
    target = f"{machine}-unknown-linux-gnu" if system == "linux" else f"{machine}-apple-darwin"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    name = f"dao-api-{version}-{target}"
    write_tarball(program, out / f"{name}.tar.gz", name)
    lines = program.with_name(program.name + ".debug")
    if lines.exists():
        shutil.copy(lines, out / f"{name}.debug")
    write_npm(program, version, f"{system}-{cpu}", out / "npm")
    write_wheel(program, version, system, machine, out)
    write_image(program, out / "image")
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.parent.name != "image")
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(out)}\n" for path in files]
    (out / "SHA256SUMS").write_text("".join(sums))
    for path in files:
        print(f"{path.stat().st_size / 1e6:8.1f} MB  {path}")


main()
