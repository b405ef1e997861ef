"""Child processes: in sessions of their own, started again if they die, never left behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flows.operate import ServiceError
from flows.operate.leash import leashed

# A process that dies this often within these seconds will not come right by itself.
MAX_STARTS, WITHIN_S = 5, 600


@dataclass
class Child:
    """One process to keep alive.

    Attributes:
        name: What it is called in messages; its log is `<name>.log`.
        command: Program and arguments.
        environment: All of its environment.
        is_vital: Whether all must end where it does not stay alive; else it is given up.
        process: The process, once started; None once it is given up.
        starts: When it was started, monotonic [s].
    """

    name: str
    command: list[str]
    environment: Mapping[str, str]
    is_vital: bool = True
    process: "subprocess.Popen[bytes] | None" = None
    starts: list[float] = field(default_factory=list)

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Keeps children alive until they are to end.

    Args:
        folder: Where they run.
        logs: Where what they print is kept.
        say: Told what happened to them that nobody had asked for.
    """

    def __init__(self, folder: Path, logs: Path, say: Callable[[str], None]) -> None:
        self.folder, self.logs, self._say = folder, logs, say
        self.children: list[Child] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, child: Child) -> None:
        """Start it; in a session of its own, so that Ctrl-C reaches it only through us."""
        with self._log_of(child).open("ab") as output:
            child.process = subprocess.Popen(
                leashed(child.command),
                cwd=self.folder,
                env=dict(child.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child.starts.append(time.monotonic())
        if child not in self.children:
            self.children.append(child)

    def tend(self) -> None:
        """Start again what has died.

        Raises:
            ServiceError: a vital child dies again and again; names it and its log.
        """
        for child in self.children:
            if child.is_alive or child.process is None:
                continue
            code = child.process.returncode
            recent = [at for at in child.starts if time.monotonic() - at < WITHIN_S]
            if len(recent) >= MAX_STARTS:
                self._give_up(child, code, len(recent))
                continue
            self._say(f"{child.name} ended (status {code}); started again")
            self.start(child)

    def _give_up(self, child: Child, code: int, times: int) -> None:
        ended = (
            f"{child.name} ended {times} times within {WITHIN_S // 60} minutes, the last time "
            f"with status {code}: {self.last_words(child)}"
        )
        if child.is_vital:
            raise ServiceError(ended)
        self._say(f"{ended}; it is not started again, all else goes on")
        child.process = None

    def last_words(self, child: Child) -> str:
        """The last line a child printed, and where the others are."""
        file = self._log_of(child)
        lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
        return f"it said {said[:200]!r}; all of it is in {file}"

    def stop(self, child: Child, patience_s: float) -> None:
        """End a child and all that it started: asked first, killed if that does not help."""
        family = descendants(child.process.pid) if child.process else set()
        if child.process is not None and child.is_alive:
            child.process.send_signal(signal.SIGTERM)
            try:
                child.process.wait(patience_s)
            except subprocess.TimeoutExpired:
                self._say(f"{child.name} did not end within {patience_s:.0f} s; killed")
                child.process.kill()
                child.process.wait()
        for pid in family:
            _kill(pid)
        if child in self.children:
            self.children.remove(child)

    def _log_of(self, child: Child) -> Path:
        return self.logs / f"{child.name}.log"


def descendants(pid: int) -> set[int]:
    """Processes that a process started, and those that they started in turn."""
    children: dict[int, set[int]] = {}
    for process, parent in _parents().items():
        children.setdefault(parent, set()).add(process)
    found: set[int] = set()
    todo = [pid]
    while todo:
        new = children.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def _parents() -> dict[int, int]:
    """The parent of every process; read from /proc, since slim images lack `ps`."""
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True)
        return {int(pid): int(parent) for pid, parent in map(str.split, listed.stdout.splitlines())}
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in parentheses may itself hold blanks and parentheses.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended since it was listed
            continue
    return parents


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
