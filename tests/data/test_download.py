"""Downloads against a server on this machine that breaks off, forgets, redirects and lies."""

from __future__ import annotations

import errno
import hashlib
import io
import random
import socket
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from saliency_pred.data import download
from saliency_pred.data.archive import UnsafeArchiveError, unpack
from saliency_pred.data.catalogue import CATALOGUE, RemoteFile, Source
from saliency_pred.data.download import ChecksumError, DownloadError, fetch_file, install, remote_size
from saliency_pred.data.errors import BrokenFileError
from saliency_pred.data.manifest import blob_id, compare, load_manifest

CONTENT = random.Random(0).randbytes(3_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


@dataclass
class Server:
    """What the server does, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=lambda: {"/set.bin": CONTENT})
    ranges: bool = True
    etag: str | None = '"v1"'
    length: bool = True
    break_after: list[int] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.requests.append((self.path, wanted))
            if state.status:
                self.send_response(state.status.pop(0))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", f"{state.url}/set.bin")
                self.end_headers()
                return
            if self.path not in state.files:
                self.send_error(404)
                return
            content, start = state.files[self.path], 0
            fresh = self.headers.get("If-Range") in (None, state.etag)
            if state.ranges and wanted and fresh:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            if state.etag:
                self.send_header("ETag", state.etag)
            if state.length:
                self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if self.command == "HEAD":
                return
            body = content[start:]
            if state.break_after:
                body = body[: state.break_after.pop(0)]
            self.wfile.write(body)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setattr(download, "_PAUSES", (0.0, 0.0, 0.0))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield state
    http.shutdown()
    http.server_close()


def remote(server: Server, *paths: str, **options: object) -> RemoteFile:
    urls = tuple(f"{server.url}{p}" for p in (paths or ("/set.bin",)))
    return RemoteFile("set.bin", urls, **{"md5": MD5, **options})  # type: ignore[arg-type]


def test_complete(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int, int | None]] = []
    path = fetch_file(remote(server), tmp_path / "deep", lambda *args: seen.append(args))
    assert path.read_bytes() == CONTENT
    assert sum(new for new, _, _ in seen) == len(CONTENT)
    assert seen[-1][1:] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in path.parent.iterdir()] == ["set.bin"]  # nothing half-written is left


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set.bin").write_bytes(CONTENT)
    fetch_file(remote(server), tmp_path)
    assert server.requests == []
    (tmp_path / "set.bin").write_bytes(b"something else")
    assert fetch_file(remote(server), tmp_path).read_bytes() == CONTENT


def test_broken_connection_is_resumed_by_range(server: Server, tmp_path: Path) -> None:
    server.break_after = [1_000_000, 500_000]
    path = fetch_file(remote(server), tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.requests == [("/set.bin", None), ("/set.bin", "bytes=1000000-"), ("/set.bin", "bytes=1500000-")]


def test_a_killed_download_goes_on_in_the_next_run(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(new: int, here: int, total: int | None) -> None:
        if here > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_file(remote(server), tmp_path, killed)
    have = (tmp_path / "set.bin.part").stat().st_size
    assert 0 < have < len(CONTENT)
    assert not (tmp_path / "set.bin").exists()
    assert fetch_file(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.requests[-1] == ("/set.bin", f"bytes={have}-")


@pytest.mark.parametrize("change", ["no ranges", "no version", "another version"])
def test_starts_anew_where_it_cannot_go_on(server: Server, tmp_path: Path, change: str) -> None:
    """Bytes of two versions are never put together; a server that ignores Range is read from the start."""
    server.break_after = [1_000_000]
    if change == "no ranges":
        server.ranges = False
    if change == "no version":
        server.etag = None
    if change == "another version":
        server.files["/set.bin"] = CONTENT[::-1]
        with pytest.raises(download._Short):
            download._receive(f"{server.url}/set.bin", tmp_path / "set.bin.part", lambda *args: None)
        assert (tmp_path / "set.bin.part").read_bytes() == CONTENT[::-1][:1_000_000]
        server.files["/set.bin"], server.etag = CONTENT, '"v2"'
    assert fetch_file(remote(server), tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_complete_already_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set.bin.part").write_bytes(CONTENT)
    (tmp_path / "set.bin.part.from").write_text(f'{server.url}/set.bin\n"v1"')
    assert fetch_file(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.requests == [("/set.bin", f"bytes={len(CONTENT)}-")]


def test_wrong_checksum(server: Server, tmp_path: Path) -> None:
    server.files["/set.bin"] = b"<html>please log in</html>"
    with pytest.raises(ChecksumError, match=f"published is {MD5}"):
        fetch_file(remote(server), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_helps(server: Server, tmp_path: Path) -> None:
    server.files["/wrong"] = b"not it"
    path = fetch_file(remote(server, "/gone", "/wrong", "/moved"), tmp_path)
    assert path.read_bytes() == CONTENT
    assert [p for p, _ in server.requests] == ["/gone", "/wrong", "/moved", "/set.bin"]


def test_redirect(server: Server, tmp_path: Path) -> None:
    assert fetch_file(remote(server, "/moved"), tmp_path).read_bytes() == CONTENT


def test_without_length_and_checksum(server: Server, tmp_path: Path) -> None:
    server.length = False
    assert fetch_file(remote(server, md5=None), tmp_path).read_bytes() == CONTENT


def test_overloaded_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.status = [503, 429]
    assert fetch_file(remote(server), tmp_path).read_bytes() == CONTENT


def test_forbidden_is_not_asked_again(server: Server, tmp_path: Path) -> None:
    server.status = [403]
    with pytest.raises(DownloadError, match="the server answers 403"):
        fetch_file(remote(server), tmp_path)
    assert len(server.requests) == 1


def test_a_server_that_sends_nothing_is_given_up(server: Server, tmp_path: Path) -> None:
    server.break_after = [1_000_000, 0, 0, 0, 0]
    with pytest.raises(
        DownloadError, match=r"(?s)ended after 1,000,000 of 3,000,000 bytes.*goes on from there"
    ) as caught:
        fetch_file(remote(server), tmp_path)
    assert "tried 3 times" in str(caught.value)
    assert (tmp_path / "set.bin.part").stat().st_size == 1_000_000  # kept for the next attempt


def test_server_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_PAUSES", (0.0,))
    with socket.socket() as unused:  # bound, so that nobody else takes the port; not listening
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/set.bin"
        with pytest.raises(DownloadError, match="refuses the connection"):
            fetch_file(RemoteFile("set.bin", (url,)), tmp_path)
        assert remote_size(url) is None


def test_size_is_asked_first(server: Server) -> None:
    assert remote_size(f"{server.url}/set.bin") == len(CONTENT)
    assert remote_size(f"{server.url}/gone") is None


def test_disk_full(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    def full(self: Path, mode: str = "r", *args: object, **kwargs: object) -> object:
        file = real(self, mode, *args, **kwargs)  # type: ignore[call-overload]
        if mode == "ab":

            class Full:
                def __enter__(self) -> Full:
                    return self

                def __exit__(self, *args: object) -> None:
                    file.close()

                def write(self, block: bytes) -> None:
                    file.write(block[:1000])
                    raise OSError(errno.ENOSPC, "No space left on device")

            return Full()
        return file

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        with pytest.raises(OSError, match=r"is full; make room, or give another folder with root=DIR"):
            fetch_file(remote(server), tmp_path)
    assert (tmp_path / "set.bin.part").stat().st_size == 1000
    assert fetch_file(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.requests[-1] == ("/set.bin", "bytes=1000-")


def test_a_disk_that_is_too_small_is_seen_first(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(download.shutil.disk_usage(tmp_path))
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    with pytest.raises(OSError, match=r"full \(3.0 MB are needed and 1.0 kB are free\)"):
        fetch_file(remote(server), tmp_path)


# ---------------------------------------------------------------------------------------------- archives


def tar_of(path: Path, *members: tuple[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            info.name, info.size = name, len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def zip_of(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members:
            opened.writestr(name, content)
    return path


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_unpack(tmp_path: Path, make: object) -> None:
    archive = make(  # type: ignore[operator]
        tmp_path / "archive",
        ("repo-1/data/a.jpg", b"a"),
        ("repo-1/data/b/c.jpg", b"c"),
        ("repo-1/src/code.m", b"x"),
        ("__MACOSX/repo-1/._a.jpg", b"x"),
        ("repo-1/data/._a.jpg", b"x"),
    )
    assert unpack(archive, tmp_path / "out", strip=1, keep=("data/",)) == 2
    found = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == {"data/a.jpg", "data/b/c.jpg"}


@pytest.mark.parametrize("make", [tar_of, zip_of])
@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a/../../evil", "C:\\evil", "a\\..\\..\\evil"])
def test_paths_that_lead_out_are_refused(tmp_path: Path, make: object, path: str) -> None:
    archive = make(tmp_path / "archive", ("good.txt", b"good"), (path, b"evil"))  # type: ignore[operator]
    with pytest.raises(UnsafeArchiveError, match="leads out of the folder"):
        unpack(archive, tmp_path / "in" / "out")
    assert {p.name for p in tmp_path.rglob("*")} <= {"archive"}  # nothing at all was written


def test_links_are_not_made(tmp_path: Path) -> None:
    """A link to a folder outside, followed by a file below it, is the other way out of a folder."""
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, str(outside)
    archive = tar_of(tmp_path / "archive.tar.gz", ("link", link), ("link/evil", b"evil"))
    unpack(archive, tmp_path / "out")
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "out" / "link").is_symlink()


def test_a_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saliency_pred.data.archive._SLACK", 0)
    archive = zip_of(tmp_path / "bomb.zip", ("zeros", bytes(20_000_000)))
    assert archive.stat().st_size < 40_000
    with pytest.raises(UnsafeArchiveError, match="50 times its size"):
        unpack(archive, tmp_path / "out")
    assert (tmp_path / "out" / "zeros").stat().st_size < 3_000_000


@pytest.mark.parametrize("damage", ["cut", "no archive", "flipped"])
def test_damaged_archives_are_named(tmp_path: Path, damage: str) -> None:
    whole = tar_of(tmp_path / "whole.tar.gz", ("a.bin", CONTENT)).read_bytes()
    broken = {"cut": whole[: len(whole) // 2], "no archive": b"<html></html>" * 99, "flipped": None}[damage]
    if broken is None:
        broken = bytearray(whole)
        broken[len(whole) // 2] ^= 0xFF
    (tmp_path / "set.tar.gz").write_bytes(bytes(broken))
    with pytest.raises(BrokenFileError, match=r"set.tar.gz is damaged"):
        unpack(tmp_path / "set.tar.gz", tmp_path / "out")


# ---------------------------------------------------------------------------------------------- whole sets


def test_install_is_all_or_nothing(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"] = zip_of(tmp_path / "a.zip", ("top/x/1.jpg", b"1")).read_bytes()
    server.files["/b.json"] = b"{}"
    a = RemoteFile("a.zip", (f"{server.url}/a.zip",), strip=1)
    source = Source("here", (a, RemoteFile("b.json", (f"{server.url}/b.json",), into="notes", unpack=False)))
    count = install(source, tmp_path / "data" / "SET", tmp_path / "data" / ".downloads")
    assert count == 2
    assert (tmp_path / "data" / "SET" / "x" / "1.jpg").read_bytes() == b"1"
    assert (tmp_path / "data" / "SET" / "notes" / "b.json").read_bytes() == b"{}"
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["SET"]
    with pytest.raises(FileExistsError, match="there already"):
        install(source, tmp_path / "data" / "SET", tmp_path / "data" / ".downloads")

    broken = Source("here", (a, RemoteFile("gone", (f"{server.url}/gone",))))
    with pytest.raises(DownloadError):
        install(broken, tmp_path / "data" / "OTHER", tmp_path / "data" / ".downloads")
    assert not (tmp_path / "data" / "OTHER").exists()
    assert (tmp_path / "data" / ".downloads" / "a.zip").is_file()  # the next attempt has it already


def test_disk_full_while_unpacking_leaves_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/a.zip"] = zip_of(tmp_path / "a.zip", ("1.jpg", b"1")).read_bytes()

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "unpack", full)
    source = Source("here", (RemoteFile("a.zip", (f"{server.url}/a.zip",)),))
    with pytest.raises(OSError, match="is full; make room"):
        install(source, tmp_path / "data" / "SET", tmp_path / "data" / ".downloads")
    assert [p.name for p in (tmp_path / "data").iterdir()] == [".downloads"]


def test_contents_are_compared_with_the_release(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # git hash-object of a file that holds the line "hello": a value every git prints
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert blob_id(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"
    listed = {"data/hello": "ce013625030ba8dba906f756967f9e9ca394464a"}
    monkeypatch.setattr(download, "load_manifest", lambda name: listed)
    source = Source("here", (RemoteFile("a.zip", (f"{server.url}/a.zip",)),), manifest="any")
    server.files["/a.zip"] = zip_of(tmp_path / "a.zip", ("data/hello", b"hello\n")).read_bytes()
    install(source, tmp_path / "SET", tmp_path / ".downloads")
    server.files["/a.zip"] = zip_of(tmp_path / "a.zip", ("data/hello", b"hullo\n")).read_bytes()
    with pytest.raises(ChecksumError, match="data/hello is different"):
        install(source, tmp_path / "OTHER", tmp_path / ".downloads")
    assert not (tmp_path / "OTHER").exists()
    assert not any((tmp_path / ".downloads").iterdir())


def test_lists_of_contents_name_real_files(shared_data: Path) -> None:
    """Samples of the releases have the checksums that the lists give."""
    for name, folder, least in (("osie", "OSIE", 180), ("mit1003", "MIT1003", 46), ("sun500", "SUN500_Scene", 40)):
        found = compare(shared_data / folder, load_manifest(name))
        # their .mat files are cut down to the pictures that are there
        assert all(path.endswith(".mat") for path in found.changed)
        assert found.checked - len(found.changed) == least


def test_lists_are_complete() -> None:
    for about in CATALOGUE.values():
        for source in about.sources:
            assert all(f.md5 is None or len(f.md5) == 32 for f in source.files)
            if source.manifest is not None:
                pictures = [p for p in load_manifest(source.manifest) if p.endswith((".jpg", ".png"))]
                sets = 2 if source.manifest == "bubbleview" else 1
                assert len(pictures) == sets * about.images
