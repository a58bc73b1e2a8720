"""Compile the .pyx files of fastlb.lb and fastlb.worker, and llhttp (vendor/).

Everything else about the distribution is in pyproject.toml.

FASTLB_DEBUG=1 builds the debug variant: counters of descriptors and a check of every
invariant (C macro of the same name). FASTLB_SANITIZE=1 adds AddressSanitizer and UBSan.
FASTLB_ANNOTATE=1 writes Cython's HTML report beside the generated C.
"""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

if not sys.platform.startswith("linux"):
    sys.exit("fastlb runs on Linux only: it is built on epoll, memfd, pidfd and SCM_RIGHTS.")

ROOT = Path(__file__).parent.resolve()
# Cython and mypy look modules up by folder name, and do not read package-dir:
# this tree shows our folders under their import names.
IMPORT_VIEW = ROOT / "build" / "view"
COMPILED = ("lb", "worker")  # folders with .pyx files
DEBUG = os.environ.get("FASTLB_DEBUG") == "1"
SANITIZE = os.environ.get("FASTLB_SANITIZE") == "1"
LLHTTP = ROOT / "vendor" / "llhttp"
# What is compiled into a module besides its own file.
OTHER_SOURCES = {"worker/http/request_reader.pyx": sorted(LLHTTP.glob("*.c"))}
ANNOTATE = os.environ.get("FASTLB_ANNOTATE") == "1"


def link_import_view() -> None:
    package = IMPORT_VIEW / "fastlb"
    package.mkdir(parents=True, exist_ok=True)
    links = {name: ROOT / name for name in ("lb", "supervisor", "cli", "client", "worker")}
    links |= {name: ROOT / "src" / "fastlb" / name for name in ("__init__.py", "__main__.py", "py.typed")}
    for name, target in links.items():
        link = package / name
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def compile_flags() -> tuple[list[str], list[str]]:
    compile_args = ["-std=gnu11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-fvisibility=hidden"]
    link_args: list[str] = []
    compile_args += ["-O1", "-g", "-DFASTLB_DEBUG=1"] if DEBUG else ["-O2"]
    if SANITIZE:
        sanitizers = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
        compile_args += sanitizers
        link_args += sanitizers
    return compile_args, link_args


def extensions() -> list[Extension]:
    compile_args, link_args = compile_flags()
    sources = sorted(
        source.relative_to(ROOT) for folder in COMPILED for source in (ROOT / folder).rglob("*.pyx")
    )
    return [
        Extension(
            ".".join(("fastlb", *source.with_suffix("").parts)),
            [str(source), *(str(other.relative_to(ROOT)) for other in OTHER_SOURCES.get(str(source), ()))],
            include_dirs=[str(LLHTTP)],
            extra_compile_args=compile_args,
            extra_link_args=link_args,
        )
        for source in sources
    ]


link_import_view()
setup(
    ext_modules=cythonize(
        extensions(),
        include_path=[str(IMPORT_VIEW)],
        build_dir="build/cython-debug" if DEBUG else "build/cython",
        annotate=ANNOTATE,
        force=ANNOTATE,
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "embedsignature": False,
        },
    )
)
