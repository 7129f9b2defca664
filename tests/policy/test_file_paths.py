"""Paths and folders, as text."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.policy.file_paths import path_under


@pytest.mark.parametrize(
    ("path", "folder", "expected"),
    [
        ("/srv/work", "/srv/work", True),
        ("/srv/work/", "/srv/work", True),
        ("/srv/work", "/srv/work/", True),
        ("/srv/work/a/b.txt", "/srv/work", True),
        ("/srv//work/./a/../b", "/srv/work", True),
        ("/srv/work/../work/x", "/srv/work", True),
        ("/srv/workshop/x", "/srv/work", False),
        ("/srv/work/../../etc/passwd", "/srv/work", False),
        ("/srv/work/..", "/srv/work", False),
        ("/../../etc/passwd", "/etc", True),
        ("//etc/passwd", "/etc", True),
        ("/etc", "/", True),
        ("/", "/etc", False),
        ("notes/a.txt", "notes", True),
        ("./notes/a.txt", "notes", True),
        ("notes/../a.txt", "notes", False),
        ("../notes/a.txt", "notes", False),
        ("a.txt", ".", True),
        ("/srv/work/[id]/page.tsx", "/srv/work", True),
        ("/srv/work/résumé.txt", "/srv/work", True),
        ("/proc/cpuinfo", "/proc", True),
        ("/proc/self/status", "/proc", True),
        ("/proc/../etc", "/etc", True),
        ("/dev/null", "/dev", True),
        ("/dev/fda/x", "/dev", True),
        ("/srv/proc/self/root/x", "/srv", True),
        ("proc/self/root/x", "proc", True),
        ("C:\\Work\\a.txt", "c:\\work", True),
        ("C:/work/../Windows", "C:\\work", False),
        ("D:\\work\\a", "C:\\work", False),
        ("C:\\workshop", "C:\\work", False),
    ],
)
def test_a_path_is_worked_out_as_text(path: str, folder: str, expected: bool) -> None:
    """The folder itself counts; a longer name that begins alike does not."""
    assert path_under(path, folder) is expected


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("", "/srv/work"),
        ("a.txt", "/srv/work"),
        ("/srv/work/a", "work"),
        ("~/a", "/srv/work"),
        ("~root/a", "/srv/work"),
        ("$HOME/a", "/srv/work"),
        ("/srv/work/${X}", "/srv/work"),
        ("/srv/work/`id`", "/srv/work"),
        ("/srv/work/%2e%2e/x", "/srv/work"),
        ("/srv/work/..%2fx", "/srv/work"),
        ("/srv/work/..\\..\\etc", "/srv/work"),
        ("/srv/work/a\x00.txt", "/srv/work"),
        ("/srv/work/a\n", "/srv/work"),
        ("/srv/work/*", "/srv/work"),
        ("file:///srv/work/a", "/srv/work"),
        ("file:a", "."),
        ("/srv/work/．．/x", "/srv/work"),
        ("/srv／work/x", "/srv/work"),
        ("/srv/work/‥/x", "/srv/work"),
        ("/srv/work/a\u200b", "/srv/work"),
        ("/srv/work/a\u202etxt", "/srv/work"),
        ("/SRV/work/a", "/srv/work"),
        ("/ETC/passwd", "/etc"),
        ("/" + "a/" * 3000, "/srv/work"),
        ("/proc/self/root/etc/passwd", "/etc"),
        ("/proc/self/root/etc/passwd", "/srv/work"),
        ("/proc/self/root/etc/passwd", "/proc"),
        ("/proc/self/root", "/"),
        ("/srv/work/../../proc/self/root/etc/passwd", "/srv/work"),
        ("//proc/./1/cwd/a", "/etc"),
        ("/proc/self/cwd/../etc/passwd", "/srv/work"),
        ("/proc/self/task/17/root/etc", "/etc"),
        ("/proc/thread-self/cwd/a", "/etc"),
        ("/proc/thread-self/../../cwd/a", "/etc"),
        ("/proc/net/../cwd/a", "/etc"),
        ("/proc/1/fd/3", "/etc"),
        ("/proc/self/exe", "/usr"),
        ("/proc/self/map_files/1-2", "/etc"),
        ("/dev/fd/3", "/etc"),
        ("/dev/fd/../cwd/a", "/etc"),
        ("/dev/stdin", "/etc"),
        ("../../../proc/self/cwd/secrets/a", "secrets"),
        ("/srv/work/a", "/proc/self/root/srv/work"),
        ("C:\\work\\a.", "C:\\work"),
        ("C:\\work\\a \\b", "C:\\work"),
        ("C:\\work\\a:b", "C:\\work"),
        ("C:\\PROGRA~1\\x", "C:\\work"),
        ("C:\\work\\con", "C:\\work"),
        ("C:\\work\\NUL.txt", "C:\\work"),
        ("C:work\\a", "C:\\work"),
        ("\\\\?\\C:\\work\\a", "C:\\work"),
        ("\\\\host\\share\\a", "C:\\work"),
        ("\\work\\a", "C:\\work"),
        ("/srv/a", "C:\\work"),
    ],
)
def test_a_path_that_could_mean_several_places_is_an_error(path: str, folder: str) -> None:
    """Escapes, shells' words, other systems' separators, look-alikes of dots, names that differ in case alone."""
    with pytest.raises(ValueError, match=r"^disputed path$"):
        path_under(path, folder)


@given(st.lists(st.sampled_from(["a", "b", "..", ".", "", "work", "srv"]), max_size=8).map("/".join))
def test_what_is_under_a_folder_begins_with_it_once_it_is_worked_out(path: str) -> None:
    """The answer is the one that a file system without links would give."""
    worked_out = posixpath.normpath("/" + path).replace("//", "/")

    assert path_under("/" + path, "/srv/work") is (worked_out + "/").startswith("/srv/work/")
