"""The console command: it explains itself and starts this app."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from viz import cli


def test_help():
    command = Path(sys.executable).with_name("regard")
    answer = subprocess.run([command, "--help"], capture_output=True, text=True, check=True, cwd="/")
    options = ("--port", "--host", "--no-browser", "--models", "--hub", "--memory")
    for word in ("usage: regard", *options, "localhost", "8501"):
        assert word in answer.stdout


def test_help_on_fine_tuning_waits_for_nothing_heavy():
    code = (
        "import sys; from viz.cli import main\n"
        "try: main(['finetune', '--help'])\n"
        "finally: assert not {'torch', 'transformers', 'streamlit'} & set(sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0, answer.stderr
    for word in ("usage: regard finetune", "MODEL", "--data FILE", "--out DIR", "--lora", "--resume"):
        assert word in answer.stdout


def test_a_wrong_option_is_refused(capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main(["--port", "eighty"])
    assert raised.value.code == 2
    assert "argument --port: invalid int value: 'eighty'" in capsys.readouterr().err


def test_memory_is_a_number_of_gigabytes(capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main(["--memory", "4 GB"])
    assert raised.value.code == 2
    assert "argument --memory: “4 GB” is no number of gigabytes" in capsys.readouterr().err


def test_folders_for_visitors_must_exist(tmp_path, capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main(["--models", str(tmp_path), "--models", str(tmp_path / "missing")])
    assert raised.value.code == 2
    assert f"argument --models: there is no folder {tmp_path / 'missing'}" in capsys.readouterr().err


def test_the_app_is_found_from_any_folder(tmp_path):
    assert Path(importlib.util.find_spec("app").origin) == ROOT / "app.py"
    code = "import importlib.util; print(importlib.util.find_spec('app').origin)"
    answer = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == str(ROOT / "app.py")


def test_the_options_travel_with_the_app():
    # Streamlit reads them beside the script: the wheel puts them there too
    assert (Path(importlib.util.find_spec("app").origin).parent / ".streamlit/config.toml").exists()
    assert '".streamlit"' in (ROOT / "pyproject.toml").read_text()
