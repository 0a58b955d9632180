"""What is around every script: its log, its errors, its outputs."""

import errno
import os
import signal
import sys
from types import SimpleNamespace

import pytest

from job import job, whole
from lcrp.errors import InputError


@pytest.fixture
def script(tmp_path):
    return SimpleNamespace(log=[str(tmp_path / "logs/rule/name.log")], threads=1)


def log_of(script):
    with open(script.log[0]) as file:
        return file.read()


def test_bad_input_is_one_line_on_the_terminal_and_in_the_log(script, capsys):
    with pytest.raises(SystemExit) as exit_, job(script):
        raise InputError("a.png: cannot be read; replace it")
    assert exit_.value.code == 1
    assert capsys.readouterr().err == "a.png: cannot be read; replace it\n"
    assert log_of(script) == "a.png: cannot be read; replace it\n"


def test_a_fault_leaves_its_traceback_in_the_log(script):
    with pytest.raises(SystemExit) as exit_, job(script):
        print("step one")
        raise KeyError("lost")
    assert exit_.value.code == 1
    lines = log_of(script).splitlines()
    assert lines[0] == "step one" and lines[-1] == "KeyError: 'lost'"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_nothing_is_one_line(script, number):
    with pytest.raises(SystemExit), job(script):
        raise OSError(number, os.strerror(number), "results/a")
    assert log_of(script) == f"results/a: {os.strerror(number)}\n"


def test_a_terminated_job_says_so_and_cleans_up(script, tmp_path):
    path = tmp_path / "table.csv"
    with pytest.raises(SystemExit) as exit_, job(script), whole(path) as part:
        part.write_text("half")
        sys.stderr.write("\r3 of 4")
        os.kill(os.getpid(), signal.SIGTERM)
    assert exit_.value.code == 143
    assert log_of(script) == "3 of 4\nterminated: cancelled, or out of time\n"
    assert os.listdir(tmp_path) == ["logs"]


def test_progress_is_logged_by_its_last_state(script):
    with job(script):
        for text in ("\r10 %", "\r60 %", "\r100 %", "\nready\n", "\r3 of 4"):
            sys.stderr.write(text)
    assert log_of(script) == "100 %\nready\n3 of 4\n"


def test_a_whole_output_replaces_the_old_one(tmp_path):
    path = tmp_path / "deep/table.csv"
    for text in ("old", "new"):
        with whole(path) as part:
            assert part.suffix == ".csv"
            part.write_text(text)
        assert path.read_text() == text
    assert os.listdir(path.parent) == ["table.csv"]


def test_a_whole_folder_replaces_the_old_one(tmp_path):
    path = tmp_path / "examples"
    for name in ("old", "new"):
        with whole(path) as part:
            part.mkdir()
            (part / name).touch()
        assert os.listdir(path) == [name]


def test_half_an_output_is_none(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), whole(path) as part:
        part.write_text("ne")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]
