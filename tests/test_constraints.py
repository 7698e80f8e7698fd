"""The pinned versions: all that pyproject.toml asks for, within its ranges, for every system, and no build of torch."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
LINES = (ROOT / ".ci/constraints.txt").read_text(encoding="utf-8").splitlines()
PINS = [Requirement(line) for line in LINES if not line.startswith("#")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ASKED = [*PROJECT["dependencies"], *(each for extra in PROJECT["optional-dependencies"].values() for each in extra)]
SYSTEMS = {"linux": ("Linux", "posix"), "darwin": ("Darwin", "posix"), "win32": ("Windows", "nt")}


def name_of(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def pinned(system: str, python: str) -> dict[str, str]:
    """The version of each package on that system; each has one."""
    platform, os_name = SYSTEMS[system]
    here = {"sys_platform": system, "platform_system": platform, "os_name": os_name, "platform_machine": "x86_64"}
    here |= {"python_version": python, "python_full_version": f"{python}.0"}
    applied = [pin for pin in PINS if not pin.marker or pin.marker.evaluate(default_environment() | here)]
    assert len(applied) == len({name_of(pin) for pin in applied})
    return {name_of(pin): str(pin.specifier).removeprefix("==") for pin in applied}


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_asked_for_is_pinned_within_its_range(system, python):
    pins = pinned(system, python)
    for requirement in map(Requirement, ASKED):
        if requirement.name == PROJECT["name"]:  # an extra that brings others
            assert requirement.extras <= set(PROJECT["optional-dependencies"])
        else:
            assert requirement.specifier.contains(pins[name_of(requirement)]), requirement


def test_each_pin_is_one_release_from_wherever_packages_come():
    for pin in PINS:
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)) and not pin.url and not pin.extras
    assert not any(re.match("-|.*://", line) for line in LINES)  # no option, no address


def test_no_build_of_torch_is_forced_or_prevented():
    """``2.13.0`` is also ``2.13.0+cpu`` and ``2.13.0+cu130``; what a build needs beside it, that build itself pins."""
    (torch,) = (pin for pin in PINS if pin.name == "torch")
    release = str(torch.specifier).removeprefix("==")
    assert torch.marker is None and all(torch.specifier.contains(f"{release}+{build}") for build in ("cpu", "cu130"))
    assert not any(re.match(r"(nvidia|cuda|triton)\b", pin.name) for pin in PINS)


def test_every_install_that_the_readme_tells_is_of_these_versions():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    installs = re.findall(r"pip install -e \S+ ?(-c [\w./]+|.{0,20})", readme)
    assert len(installs) >= 6 and set(installs) == {"-c .ci/constraints.txt"}
