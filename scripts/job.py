"""What every script does around its work: log, threads, whole outputs, errors made readable."""

import errno
import os
import runpy
import signal
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

# The library is found also where it is not installed (`snakemake --software-deployment-method`).
sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))

from lcrp.errors import InputError
from lcrp.files import whole

__all__ = ["job", "mock_snakemake", "whole"]


class _Log:
    """Standard error that is kept in a file as well, progress bars by their last state only."""

    def __init__(self, terminal, file):
        self.terminal, self.file, self.line = terminal, file, ""

    def write(self, text):
        self.terminal.write(text)
        for part in text.splitlines(keepends=True):
            self.line = part if self.line.endswith("\r") else self.line + part
            if self.line.endswith("\n"):
                self.flush_line()
        return len(text)

    def flush_line(self):
        line = self.line.strip("\r\n")
        self.file.write(f"{line}\n" if line else "")
        self.file.flush()
        self.line = ""

    def flush(self):
        self.terminal.flush()

    def isatty(self):
        return self.terminal.isatty()

    def fileno(self):
        return self.terminal.fileno()


def _terminated(number, frame):
    """Ends a job that is cancelled or out of time as any other: nothing half-written stays."""
    raise InterruptedError("terminated: cancelled, or out of time")


@contextmanager
def job(snakemake):
    """Run a script's work: what it prints goes to its log, and bad input gets one line."""
    os.environ["OMP_NUM_THREADS"] = str(snakemake.threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(snakemake.threads)
    if "lcrp.attribution" in sys.modules:  # loaded by the jobs that explain
        sys.modules["lcrp.attribution"].keep_freed_memory()
    path = Path(snakemake.log[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        log = _Log(sys.stderr, file)
        sys.stderr = sys.stdout = log
        before = signal.signal(signal.SIGTERM, _terminated)
        try:
            yield
        except InputError as error:
            print(error, file=log)
            sys.exit(1)
        except InterruptedError as error:
            log.flush_line()
            print(error, file=log)
            sys.exit(143)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
                traceback.print_exc()
            print(f"{error.filename or 'output'}: {error.strerror}", file=log)
            sys.exit(1)
        except Exception:
            traceback.print_exc()
            sys.exit(1)
        finally:
            log.flush_line()
            signal.signal(signal.SIGTERM, before)
            sys.stderr, sys.stdout = sys.__stderr__, sys.__stdout__


def mock_snakemake(rule: str, **wildcards: str):
    """What Snakemake would hand to the script of a rule, made without running Snakemake.

    Args:
        rule: its name; the configuration of the present folder is read.
        **wildcards: as in the names of its files, such as experiment="demo-detection".

    Returns:
        An object with the input, output, params, wildcards, threads, resources, log, config and
        rule of that job, whether its files exist or not.
    """
    # Imported here, since a job that Snakemake starts has no use for Snakemake.
    from snakemake.api import SnakemakeApi
    from snakemake.iocontainers import Wildcards
    from snakemake.settings.types import ResourceSettings

    snakefile = Path(__file__).parents[1] / "Snakefile"
    with SnakemakeApi() as api:
        workflow = api.workflow(ResourceSettings(cores=1), snakefile=snakefile)._workflow
        for other in workflow.rules:  # what they made is there, or the inputs cannot be known
            if other.is_checkpoint and set(other.wildcard_names) <= set(wildcards):
                workflow.checkpoints.created_output.update(other.expand_output(wildcards)[0])
        wanted = workflow.get_rule(rule)
        given = wanted.expand_input(wildcards)[0]
        made = wanted.expand_output(wildcards)[0]
        resources = wanted.expand_resources(wildcards, given, attempt=1)
        job = SimpleNamespace(resources=resources, threads=resources._cores)
        return SimpleNamespace(
            input=given._plainstrings(),
            output=made._plainstrings(),
            params=wanted.expand_params(wildcards, given, made, job)[0],
            wildcards=Wildcards(fromdict=wildcards),
            threads=job.threads,
            resources=resources,
            log=wanted.expand_log(wildcards)._plainstrings(),
            config=workflow.globals["config"],
            rule=rule,
        )


if __name__ == "__main__":
    name, *given = sys.argv[1:]
    mocked = mock_snakemake(name, **dict(entry.split("=", 1) for entry in given))
    script = Path(__file__).with_name(f"{name}.py")
    runpy.run_path(str(script), {"snakemake": mocked}, run_name="__main__")
