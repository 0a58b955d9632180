"""What every script does around its work: log, threads, whole outputs, errors made readable."""

import errno
import os
import signal
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path

# The library is found also where it is not installed (`snakemake --software-deployment-method`).
sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))

from lcrp.errors import InputError
from lcrp.files import whole

__all__ = ["job", "whole"]


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
